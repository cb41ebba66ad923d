//! The options of curl that are read, and what each does to the request.

/// What an option does to the request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Does {
    /// Nothing that a gateway sees.
    Nothing,
    /// The same, with an argument.
    NothingWithArgument,
    Method,
    Header,
    Data,
    UrlEncoded,
    Json,
    Form,
    Upload,
    User,
    Bearer,
    Cookie,
    Agent,
    Referer,
    Head,
    Get,
    Url,
    UrlQuery,
    Certificate,
    Compressed,
    PathAsIs,
}

/// Long name, short name, and what it does.
const OPTIONS: &[(&str, Option<char>, Does)] = &[
    ("request", Some('X'), Does::Method),
    ("header", Some('H'), Does::Header),
    ("data", Some('d'), Does::Data),
    ("data-ascii", None, Does::Data),
    ("data-binary", None, Does::Data),
    ("data-raw", None, Does::Data),
    ("data-urlencode", None, Does::UrlEncoded),
    ("json", None, Does::Json),
    ("form", Some('F'), Does::Form),
    ("form-string", None, Does::Form),
    ("upload-file", Some('T'), Does::Upload),
    ("user", Some('u'), Does::User),
    ("oauth2-bearer", None, Does::Bearer),
    ("cookie", Some('b'), Does::Cookie),
    ("user-agent", Some('A'), Does::Agent),
    ("referer", Some('e'), Does::Referer),
    ("head", Some('I'), Does::Head),
    ("get", Some('G'), Does::Get),
    ("url", None, Does::Url),
    ("url-query", None, Does::UrlQuery),
    ("cert", Some('E'), Does::Certificate),
    ("compressed", None, Does::Compressed),
    ("path-as-is", None, Does::PathAsIs),
    ("basic", None, Does::Nothing),
    ("fail", Some('f'), Does::Nothing),
    ("fail-with-body", None, Does::Nothing),
    ("globoff", Some('g'), Does::Nothing),
    ("http1.0", Some('0'), Does::Nothing),
    ("http1.1", None, Does::Nothing),
    ("http2", None, Does::Nothing),
    ("http2-prior-knowledge", None, Does::Nothing),
    ("http3", None, Does::Nothing),
    ("include", Some('i'), Does::Nothing),
    ("show-headers", None, Does::Nothing),
    ("insecure", Some('k'), Does::Nothing),
    ("ipv4", Some('4'), Does::Nothing),
    ("ipv6", Some('6'), Does::Nothing),
    ("location", Some('L'), Does::Nothing),
    ("no-buffer", Some('N'), Does::Nothing),
    ("no-progress-meter", None, Does::Nothing),
    ("progress-bar", Some('#'), Does::Nothing),
    ("remote-name", Some('O'), Does::Nothing),
    ("show-error", Some('S'), Does::Nothing),
    ("silent", Some('s'), Does::Nothing),
    ("tlsv1.2", None, Does::Nothing),
    ("tlsv1.3", None, Does::Nothing),
    ("verbose", Some('v'), Does::Nothing),
    ("cacert", None, Does::NothingWithArgument),
    ("capath", None, Does::NothingWithArgument),
    ("cert-type", None, Does::NothingWithArgument),
    ("connect-timeout", None, Does::NothingWithArgument),
    ("connect-to", None, Does::NothingWithArgument),
    ("cookie-jar", Some('c'), Does::NothingWithArgument),
    ("dump-header", Some('D'), Does::NothingWithArgument),
    ("interface", None, Does::NothingWithArgument),
    ("key", None, Does::NothingWithArgument),
    ("key-type", None, Does::NothingWithArgument),
    ("max-time", Some('m'), Does::NothingWithArgument),
    ("noproxy", None, Does::NothingWithArgument),
    ("output", Some('o'), Does::NothingWithArgument),
    ("pass", None, Does::NothingWithArgument),
    ("resolve", None, Does::NothingWithArgument),
    ("retry", None, Does::NothingWithArgument),
    ("retry-delay", None, Does::NothingWithArgument),
    ("stderr", None, Does::NothingWithArgument),
    ("tls-max", None, Does::NothingWithArgument),
    ("trace-ascii", None, Does::NothingWithArgument),
    ("write-out", Some('w'), Does::NothingWithArgument),
];

// === impl Does ===

impl Does {
    /// Whether a value follows it.
    pub(super) fn takes_argument(self) -> bool {
        !matches!(
            self,
            Self::Nothing | Self::Head | Self::Get | Self::Compressed | Self::PathAsIs
        )
    }
}

/// What the option does that `is` it.
pub(super) fn by(
    option: &str,
    is: impl Fn(&(&'static str, Option<char>, Does)) -> bool,
) -> Result<Does, String> {
    let known = OPTIONS.iter().find(|it| is(it)).map(|(_, _, does)| *does);
    let dashes = if option.chars().count() == 1 {
        "-"
    } else {
        "--"
    };
    known.ok_or_else(|| {
        format!(
            "the option `{dashes}{option}` of curl is not known here; leave it out if it does not \
             change the request, else say what it does by other options"
        )
    })
}
