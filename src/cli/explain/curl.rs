//! A `curl` command line, pasted whole: which request curl would send.
//!
//! It reads curl's usual options and refuses the others by name, since an option that is passed over
//! could change the request. It runs nothing and opens no connection.

mod options;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use options::{Does, by};
use std::path::PathBuf;

/// The request that curl would send, as far as a gateway sees it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CurlRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    /// A file with the client certificate.
    pub certificate: Option<PathBuf>,
}

/// The command line while it is read.
#[derive(Default)]
struct Reading {
    method: Option<String>,
    url: Option<String>,
    headers: Vec<(String, String)>,
    /// Headers that are sent unless one of that name is given: an empty value takes one out.
    implied: Vec<(&'static str, String)>,
    data: Option<String>,
    query: Vec<String>,
    certificate: Option<PathBuf>,
    head: bool,
    get: bool,
    upload: bool,
    form: bool,
    path_as_is: bool,
}

/// Reads a command line; `variable` gives the value of a variable of the shell.
pub(super) fn read(
    line: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<CurlRequest, String> {
    let words = shell_words::split(&joined(line))
        .map_err(|_| "a quote in it is not closed; paste the command whole".to_owned())?;
    let words: Vec<String> = words
        .iter()
        .map(|word| expanded(word, &variable))
        .collect::<Result<_, _>>()?;
    let mut words = words.into_iter().peekable();
    // What a shell shows before the command.
    words.next_if(|word| word == "$");
    if words
        .next_if(|word| word == "curl" || word.ends_with("/curl"))
        .is_none()
    {
        return Err("it does not begin with `curl`".to_owned());
    }
    let mut reading = Reading::default();
    while let Some(word) = words.next() {
        match (word.strip_prefix("--"), word.strip_prefix('-')) {
            (Some(long), _) if !long.is_empty() => {
                let does = by(long, |(name, ..)| *name == long)?;
                let argument = match does.takes_argument() {
                    true => words
                        .next()
                        .ok_or_else(|| format!("`--{long}` has no value"))?,
                    false => String::new(),
                };
                reading.take(does, argument)?;
            }
            (None, Some(letters)) if !letters.is_empty() => {
                let mut letters = letters.chars();
                while let Some(letter) = letters.next() {
                    let option = letter.to_string();
                    let does = by(&option, |(_, short, _)| *short == Some(letter))?;
                    let mut argument = String::new();
                    if does.takes_argument() {
                        argument = letters.by_ref().collect();
                        if argument.is_empty() {
                            let next = words.next();
                            argument = next.ok_or_else(|| format!("`-{letter}` has no value"))?;
                        }
                    }
                    reading.take(does, argument)?;
                }
            }
            _ => reading.take(Does::Url, word)?,
        }
    }
    reading.request()
}

/// Lines that a `\` joins, also where white space was pasted behind it.
fn joined(line: &str) -> String {
    let lines = line.trim().lines().map(|line| {
        let trimmed = line.trim_end();
        match trimmed.strip_suffix('\\') {
            Some(rest) if !rest.ends_with('\\') => format!("{rest} "),
            _ => format!("{line}\n"),
        }
    });
    lines.collect()
}

/// A word with the values of the variables in it; a name is in capitals.
fn expanded(word: &str, variable: &impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = word;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        let braced = after.strip_prefix('{');
        let from = braced.unwrap_or(after);
        let letter = |it: char| it.is_ascii_uppercase() || it.is_ascii_digit() || it == '_';
        let end = from.find(|it| !letter(it)).unwrap_or(from.len());
        let (name, behind) = from.split_at_checked(end).unwrap_or((from, ""));
        let behind = match braced {
            Some(_) => behind.strip_prefix('}'),
            None => Some(behind),
        };
        match behind.filter(|_| name.starts_with(|it: char| it.is_ascii_uppercase() || it == '_')) {
            Some(behind) => {
                let value = variable(name).ok_or_else(|| {
                    format!("`${name}` is not set here; export it, or write its value instead")
                })?;
                text.push_str(&value);
                rest = behind;
            }
            None => {
                text.push('$');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    Ok(text)
}

// === impl Reading ===

impl Reading {
    fn take(&mut self, does: Does, argument: String) -> Result<(), String> {
        match does {
            Does::Nothing | Does::NothingWithArgument => {}
            Does::Method => self.method = Some(argument),
            Does::Header => self.header(&argument)?,
            Does::Data => self.data(argument, "application/x-www-form-urlencoded"),
            Does::UrlEncoded => {
                self.data(url_encoded(&argument), "application/x-www-form-urlencoded");
            }
            Does::Json => {
                self.data(argument, "application/json");
                self.implied
                    .insert(0, ("accept", "application/json".to_owned()));
            }
            Does::Form => {
                self.form = true;
                self.implied
                    .push(("content-type", "multipart/form-data".to_owned()));
            }
            Does::Upload => self.upload = true,
            Does::User => {
                self.implied.push((
                    "authorization",
                    format!("Basic {}", BASE64.encode(argument)),
                ));
            }
            Does::Bearer => self
                .implied
                .push(("authorization", format!("Bearer {argument}"))),
            Does::Cookie if argument.contains('=') => {
                self.headers.push(("cookie".to_owned(), argument));
            }
            Does::Cookie => {
                let error = "`-b` names a file of cookies, which is not read; give `NAME=VALUE`";
                return Err(error.to_owned());
            }
            Does::Agent => self.implied.insert(0, ("user-agent", argument)),
            Does::Referer => self.implied.push(("referer", argument)),
            Does::Head => self.head = true,
            Does::Get => self.get = true,
            Does::UrlQuery => self.query.push(url_encoded(&argument)),
            Does::Certificate => {
                // A password may stand behind the file.
                let file = argument
                    .split_once(':')
                    .map_or(argument.as_str(), |(file, _)| file);
                self.certificate = Some(file.into());
            }
            Does::Compressed => {
                self.implied
                    .push(("accept-encoding", "deflate, gzip, br, zstd".to_owned()));
            }
            Does::PathAsIs => self.path_as_is = true,
            Does::Url => {
                if self.url.replace(argument).is_some() {
                    return Err("there are several URLs in it; explain one at a time".to_owned());
                }
            }
        }
        Ok(())
    }

    /// `Name: value`; `Name:` takes a header out that curl would send, `Name;` sends an empty one.
    fn header(&mut self, line: &str) -> Result<(), String> {
        if line.starts_with('@') {
            return Err(format!(
                "`-H {line}` is a file of headers, which is not read; give each"
            ));
        }
        if let Some((name, value)) = line.split_once(':') {
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            self.headers.push((name, value.to_owned()));
            return Ok(());
        }
        let name = line.strip_suffix(';').ok_or_else(|| {
            format!(
                "`-H '{}'` is no header; it must be `NAME: VALUE`",
                name_of(line)
            )
        })?;
        self.implied
            .insert(0, ("", name.trim().to_ascii_lowercase()));
        Ok(())
    }

    fn data(&mut self, data: String, content_type: &'static str) {
        match &mut self.data {
            Some(known) => {
                known.push('&');
                known.push_str(&data);
            }
            None => self.data = Some(data),
        }
        self.implied.push(("content-type", content_type.to_owned()));
    }

    fn request(self) -> Result<CurlRequest, String> {
        let url = self.url.ok_or("there is no URL in it")?;
        let url = match url.contains("://") {
            true => url,
            false => format!("http://{url}"),
        };
        let url = url.split_once('#').map_or(url.as_str(), |(url, _)| url);
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query.to_owned())),
            None => (target, None),
        };
        let path = match (path, self.path_as_is) {
            ("", _) => "/".to_owned(),
            (path, true) => path.to_owned(),
            (path, false) => without_dot_segments(path),
        };
        let moved = self.data.clone().filter(|_| self.get);
        let query: Vec<_> = query.into_iter().chain(self.query).chain(moved).collect();
        let query = match query.is_empty() {
            true => String::new(),
            false => format!("?{}", query.join("&")),
        };
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let sends_body = (self.data.is_some() && !self.get) || self.form;
        let implied_method = match (self.head, sends_body, self.upload) {
            (true, ..) => "HEAD",
            (_, true, _) => "POST",
            (.., true) => "PUT",
            _ => "GET",
        };
        let mut headers: Vec<(String, String)> = Vec::new();
        let basic = user.map(|user| ("authorization", format!("Basic {}", BASE64.encode(user))));
        let always = [
            ("accept", "*/*".to_owned()),
            ("user-agent", "curl".to_owned()),
        ];
        for (name, value) in self.implied.into_iter().chain(basic).chain(always) {
            match name {
                "" => headers.push((value, String::new())),
                "content-type" if self.get => {}
                name => {
                    let given = self
                        .headers
                        .iter()
                        .chain(&headers)
                        .any(|(it, _)| it == name);
                    if !given {
                        headers.push((name.to_owned(), value));
                    }
                }
            }
        }
        let given = self
            .headers
            .into_iter()
            .filter(|(_, value)| !value.is_empty());
        Ok(CurlRequest {
            method: self.method.unwrap_or_else(|| implied_method.to_owned()),
            url: format!("{scheme}://{host}{path}{query}"),
            headers: given.chain(headers).collect(),
            certificate: self.certificate,
        })
    }
}

/// What stands before the first white space or `=`, which holds no value.
fn name_of(line: &str) -> &str {
    line.split([' ', '=']).next().unwrap_or_default()
}

/// `NAME=VALUE` with the value encoded; `=VALUE` and `VALUE` are values alone.
fn url_encoded(text: &str) -> String {
    let encoded = |value: &str| {
        percent_encoding::utf8_percent_encode(value, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    match text.split_once('=') {
        Some(("", value)) => encoded(value),
        Some((name, value)) => format!("{name}={}", encoded(value)),
        None => encoded(text),
    }
}

/// A path as curl sends it (RFC 3986, 5.2.4), unless `--path-as-is` is given.
fn without_dot_segments(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut last_is_dots = false;
    for segment in path.split('/').skip(1) {
        last_is_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    let mut path: String = segments.iter().flat_map(|segment| ["/", segment]).collect();
    if path.is_empty() || last_is_dots {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests;
