//! What expressions and paths mean, in the terms of the automata that are made of them.
//!
//! Classes and cases are those of ASCII, as `pathRegex` reads them. What it would read in another
//! way than it was meant is refused by name.

use crate::policy::ApiPath;
use regex_syntax::ast::{
    self, AssertionKind, Ast, ClassBracketed, ClassSet, ClassSetItem, ErrorKind, Flag, Flags,
    GroupKind, RepetitionKind, RepetitionRange, Span,
};
use regex_syntax::hir::{
    Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Dot, Hir, HirKind, Look,
    Repetition,
};

/// An expression while it is read.
struct Reader<'a> {
    text: &'a str,
    ignores_case: bool,
}

/// What a regular expression matches.
///
/// # Errors
/// What is in it that is not supported, and what to write instead.
pub(super) fn parse(text: &str) -> Result<Hir, String> {
    let parsed = ast::parse::Parser::new().parse(text);
    let ast = parsed.map_err(|error| match error.kind() {
        ErrorKind::UnsupportedLookAround => {
            "look-around (`(?=`, `(?!`, `(?<`), which is not supported; write a rule of its own, \
             in front, for the paths that are meant"
                .to_owned()
        }
        ErrorKind::UnsupportedBackreference => {
            "a back reference, which is not supported; write out what may be repeated".to_owned()
        }
        other => format!("a fault: {other}"),
    })?;
    let mut reader = Reader {
        text,
        ignores_case: false,
    };
    reader.read(&ast)
}

/// The paths that `path` of a rule is for, as they are sent.
pub(super) fn path(text: &str) -> Hir {
    if text == "/*" {
        let rest = any_number(Hir::dot(Dot::AnyByte), 0);
        return Hir::concat(vec![literal("/"), rest]);
    }
    let decoded = |text: &str| {
        let bytes = percent_encoding::percent_decode_str(text);
        bytes.decode_utf8_lossy().into_owned()
    };
    let segments = |read: &dyn Fn(&str) -> String| {
        let segments = text.split('/').skip(1).flat_map(|segment| {
            let part = match segment {
                "{*}" => any_number(template_letters(false), 1),
                "{**}" => any_number(template_letters(true), 0),
                text => literal(&read(text)),
            };
            [literal("/"), part]
        });
        Hir::concat(segments.collect())
    };
    Hir::alternation(vec![segments(&str::to_owned), segments(&decoded)])
}

/// `.*`
pub(super) fn anything() -> Hir {
    any_number(Hir::dot(Dot::AnyCharExceptLF), 0)
}

// === impl Reader ===

impl Reader<'_> {
    fn read(&mut self, ast: &Ast) -> Result<Hir, String> {
        match ast {
            Ast::Empty(_) => Ok(Hir::empty()),
            Ast::Flags(set) => {
                self.set(&set.flags)?;
                Ok(Hir::empty())
            }
            Ast::Literal(it) if self.ignores_case => {
                let range = ClassUnicodeRange::new(it.c, it.c);
                Ok(class(self.folded(ClassUnicode::new([range]))))
            }
            Ast::Literal(it) => Ok(literal(it.c.encode_utf8(&mut [0; 4]))),
            // No path has a line break, so that the flags about them change nothing.
            Ast::Dot(_) => Ok(Hir::dot(Dot::AnyCharExceptLF)),
            Ast::Assertion(it) => match it.kind {
                AssertionKind::StartLine | AssertionKind::StartText => Ok(Hir::look(Look::Start)),
                AssertionKind::EndLine | AssertionKind::EndText => Ok(Hir::look(Look::End)),
                AssertionKind::WordBoundary => Ok(Hir::look(Look::WordAscii)),
                AssertionKind::NotWordBoundary => Ok(Hir::look(Look::WordAsciiNegate)),
                _ => Err(self.unsupported(&it.span, "write which letters may stand there")),
            },
            Ast::ClassUnicode(it) => Err(self.unicode(&it.span)),
            Ast::ClassPerl(it) => Ok(class(self.ascii(&it.span, it.negated)?)),
            Ast::ClassBracketed(it) => Ok(class(self.bracketed(it)?)),
            Ast::Repetition(it) => {
                let (min, max) = match &it.op.kind {
                    RepetitionKind::ZeroOrOne => (0, Some(1)),
                    RepetitionKind::ZeroOrMore => (0, None),
                    RepetitionKind::OneOrMore => (1, None),
                    RepetitionKind::Range(RepetitionRange::Exactly(n)) => (*n, Some(*n)),
                    RepetitionKind::Range(RepetitionRange::AtLeast(min)) => (*min, None),
                    RepetitionKind::Range(RepetitionRange::Bounded(min, max)) => (*min, Some(*max)),
                };
                Ok(repetition(self.read(&it.ast)?, min, max))
            }
            Ast::Group(it) => {
                let outside = self.ignores_case;
                if let GroupKind::NonCapturing(flags) = &it.kind {
                    self.set(flags)?;
                }
                let inside = self.read(&it.ast);
                self.ignores_case = outside;
                inside
            }
            Ast::Alternation(it) => Ok(Hir::alternation(self.each(&it.asts)?)),
            Ast::Concat(it) => Ok(Hir::concat(self.each(&it.asts)?)),
        }
    }

    fn each(&mut self, asts: &[Ast]) -> Result<Vec<Hir>, String> {
        asts.iter().map(|ast| self.read(ast)).collect()
    }

    fn set(&mut self, flags: &Flags) -> Result<(), String> {
        let on = |flag| flags.flag_state(flag) == Some(true);
        if on(Flag::IgnoreWhitespace) || flags.flag_state(Flag::Unicode).is_some() {
            return Err(self.unsupported(&flags.span, "leave the flags `x` and `u` out"));
        }
        let ignores_case = flags.flag_state(Flag::CaseInsensitive);
        self.ignores_case = ignores_case.unwrap_or(self.ignores_case);
        Ok(())
    }

    fn bracketed(&self, set: &ClassBracketed) -> Result<ClassUnicode, String> {
        let item = match &set.kind {
            ClassSet::Item(item) => item,
            ClassSet::BinaryOp(it) => {
                return Err(self.unsupported(&it.span, "write the letters that are left"));
            }
        };
        let mut class = ClassUnicode::empty();
        self.add(item, &mut class)?;
        if self.ignores_case {
            class = self.folded(class);
        }
        if set.negated {
            class.negate();
        }
        Ok(class)
    }

    fn add(&self, item: &ClassSetItem, class: &mut ClassUnicode) -> Result<(), String> {
        match item {
            ClassSetItem::Empty(_) => {}
            ClassSetItem::Literal(it) => class.push(ClassUnicodeRange::new(it.c, it.c)),
            ClassSetItem::Range(it) => {
                class.push(ClassUnicodeRange::new(it.start.c, it.end.c));
            }
            ClassSetItem::Ascii(it) => class.union(&self.ascii(&it.span, it.negated)?),
            ClassSetItem::Perl(it) => class.union(&self.ascii(&it.span, it.negated)?),
            ClassSetItem::Unicode(it) => return Err(self.unicode(&it.span)),
            ClassSetItem::Bracketed(it) => {
                return Err(self.unsupported(&it.span, "write its letters beside the others"));
            }
            ClassSetItem::Union(it) => {
                for item in &it.items {
                    self.add(item, class)?;
                }
            }
        }
        Ok(())
    }

    /// The letters of `\d`, `[:alpha:]` and their like.
    fn ascii(&self, span: &Span, negated: bool) -> Result<ClassUnicode, String> {
        let positive = self.source(span).to_ascii_lowercase().replace('^', "");
        let mut parser = regex_syntax::ParserBuilder::new();
        let parsed = parser
            .unicode(false)
            .utf8(false)
            .build()
            .parse(&format!("[{positive}]"));
        let ranges = match parsed.map(Hir::into_kind) {
            Ok(HirKind::Class(Class::Bytes(class))) => class,
            _ => return Err(self.unsupported(span, "write its letters")),
        };
        let ranges = ranges.iter().map(|range| {
            ClassUnicodeRange::new(char::from(range.start()), char::from(range.end()))
        });
        let mut class = ClassUnicode::new(ranges);
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// A class with both cases of each letter of ASCII. Of a range from one case into the other,
    /// `pathRegex` folds the small letters alone.
    fn folded(&self, class: ClassUnicode) -> ClassUnicode {
        let shifted = |range: &ClassUnicodeRange, first: u8, last: u8, to: fn(&u8) -> u8| {
            let start = range.start().max(char::from(first));
            let end = range.end().min(char::from(last));
            let ends = u8::try_from(start).ok().zip(u8::try_from(end).ok());
            let (start, end) = ends.filter(|(start, end)| start <= end)?;
            Some(ClassUnicodeRange::new(
                char::from(to(&start)),
                char::from(to(&end)),
            ))
        };
        let other_case = class.iter().filter_map(|range| {
            shifted(range, b'a', b'z', u8::to_ascii_uppercase)
                .or_else(|| shifted(range, b'A', b'Z', u8::to_ascii_lowercase))
        });
        let mut folded = ClassUnicode::new(other_case);
        folded.union(&class);
        folded
    }

    fn source(&self, span: &Span) -> &str {
        let range = span.start.offset..span.end.offset;
        self.text.get(range).unwrap_or_default()
    }

    fn unsupported(&self, span: &Span, instead: &str) -> String {
        format!("`{}`, which is not supported; {instead}", self.source(span))
    }

    fn unicode(&self, span: &Span) -> String {
        self.unsupported(span, "write the letters, such as `[a-z]`")
    }
}

fn literal(text: &str) -> Hir {
    Hir::literal(text.as_bytes())
}

fn class(class: ClassUnicode) -> Hir {
    Hir::class(Class::Unicode(class))
}

fn any_number(of: Hir, min: u32) -> Hir {
    repetition(of, min, None)
}

fn repetition(of: Hir, min: u32, max: Option<u32>) -> Hir {
    Hir::repetition(Repetition {
        min,
        max,
        greedy: true,
        sub: Box::new(of),
    })
}

/// What the operators of a path take where it is read as it was sent.
fn template_letters(slash: bool) -> Hir {
    let segment = ApiPath::parse("/{*}").ok();
    let takes = |byte: u8| {
        segment
            .as_ref()
            .is_some_and(|it| it.matches(&[b'/', byte][..]))
    };
    let letters = (0..=0xff).filter(|byte| takes(*byte) || (slash && *byte == b'/'));
    let ranges = letters.map(|byte| ClassBytesRange::new(byte, byte));
    Hir::class(Class::Bytes(ClassBytes::new(ranges)))
}
