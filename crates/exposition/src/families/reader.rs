//! Tokens of the text format, byte by byte: each reading function begins with the byte that was read last, unless it
//! says otherwise, and leaves the first byte that is not its own.

use model::float::go_quoted;

/// Reading stopped.
pub(super) enum Stop {
    /// The input has ended.
    End,
    /// It is wrong: how.
    Wrong(String),
}

pub(super) type Read<T = ()> = Result<T, Stop>;

/// Refuses the input.
pub(super) fn wrong<T>(message: impl Into<String>) -> Read<T> {
    Err(Stop::Wrong(message.into()))
}

/// Which names a token may be.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum NameKind {
    Metric,
    Label,
}

impl NameKind {
    fn starts(self, b: u8) -> bool {
        b.is_ascii_alphabetic() || b == b'_' || b == b'"' || self == Self::Metric && b == b':'
    }

    /// Within quotes everything goes on.
    fn goes_on(self, b: u8, quoted: bool) -> bool {
        quoted || self.starts(b) || b.is_ascii_digit()
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "metric",
            Self::Label => "label",
        }
    }
}

pub(super) fn is_blank(b: u8) -> bool {
    b == b' ' || b == b'\t'
}

/// A byte as Go's `%q` prints it.
pub(super) fn quoted_byte(b: u8) -> String {
    let inside = match b {
        b'\'' => "\\'".to_owned(),
        b'"' => "\"".to_owned(),
        _ => {
            let quoted = go_quoted(char::from(b).to_string().as_bytes());
            quoted[1..quoted.len() - 1].to_owned()
        }
    };
    format!("'{inside}'")
}

pub(super) struct Reader<'a> {
    data: &'a [u8],
    at: usize,
    /// The byte that was read last.
    pub(super) current: u8,
    /// The token that was read last.
    pub(super) token: Vec<u8>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, current: 0, token: Vec::new() }
    }

    /// Reads a byte.
    pub(super) fn step(&mut self) -> Read {
        let Some(b) = self.data.get(self.at) else { return Err(Stop::End) };
        self.at += 1;
        self.current = *b;
        Ok(())
    }

    /// Reads on, to a byte that is no blank.
    pub(super) fn skip_blanks(&mut self) -> Read {
        loop {
            self.step()?;
            if !is_blank(self.current) {
                return Ok(());
            }
        }
    }

    pub(super) fn skip_blanks_if_blank(&mut self) -> Read {
        if is_blank(self.current) { self.skip_blanks() } else { Ok(()) }
    }

    pub(super) fn skip_line(&mut self) -> Read {
        while self.current != b'\n' {
            self.step()?;
        }
        Ok(())
    }

    pub(super) fn word(&mut self) -> Read {
        self.token.clear();
        while !is_blank(self.current) && self.current != b'\n' {
            self.token.push(self.current);
            self.step()?;
        }
        Ok(())
    }

    /// To the end of the line; without `escapes` a backslash is left out.
    pub(super) fn line(&mut self, escapes: bool) -> Read {
        self.token.clear();
        let mut escaped = false;
        loop {
            if escapes && escaped {
                self.escape(true)?;
                escaped = false;
            } else {
                match self.current {
                    b'\n' => return Ok(()),
                    b'\\' => escaped = true,
                    b => self.token.push(b),
                }
            }
            self.step()?;
        }
    }

    fn escape(&mut self, quote: bool) -> Read {
        match self.current {
            b'\\' => self.token.push(b'\\'),
            b'n' => self.token.push(b'\n'),
            b'"' if quote => self.token.push(b'"'),
            b => return wrong(format!("invalid escape sequence '\\{}'", char::from(b))),
        }
        Ok(())
    }

    /// A name, plain or in quotes; empty where none begins.
    pub(super) fn name(&mut self, kind: NameKind) -> Read {
        self.token.clear();
        if !kind.starts(self.current) {
            return Ok(());
        }
        let (mut quoted, mut escaped) = (false, false);
        loop {
            if escaped {
                self.escape(true)?;
                escaped = false;
            } else {
                match self.current {
                    b'"' => {
                        quoted = !quoted;
                        if !quoted {
                            return self.step();
                        }
                    }
                    b'\n' => {
                        let token = go_quoted(&self.token);
                        return wrong(format!("{} name {token} contains unescaped new-line", kind.as_str()));
                    }
                    b'\\' => escaped = true,
                    b => self.token.push(b),
                }
            }
            self.step()?;
            if !kind.goes_on(self.current, quoted) {
                return Ok(());
            }
        }
    }

    /// A label's value, from behind its opening quote to its closing one.
    pub(super) fn label_value(&mut self) -> Read {
        self.token.clear();
        loop {
            self.step()?;
            match self.current {
                b'"' => return Ok(()),
                b'\n' => {
                    let token = go_quoted(&self.token);
                    return wrong(format!("label value {token} contains unescaped new-line"));
                }
                b'\\' => {
                    self.step()?;
                    self.escape(true)?;
                }
                b => self.token.push(b),
            }
        }
    }
}
