//! JSON as text: objects, lists and strings with the escapes that Prometheus writes.

/// Appends JSON.
pub(crate) struct Writer {
    pub(crate) out: Vec<u8>,
}

impl Writer {
    pub(crate) fn raw(&mut self, s: &str) {
        self.out.extend_from_slice(s.as_bytes());
    }

    /// `"key":` with what must stand before it.
    pub(crate) fn key(&mut self, key: &str) {
        self.raw(if self.out.last() == Some(&b'{') { "\"" } else { ",\"" });
        self.raw(key);
        self.raw("\":");
    }

    pub(crate) fn object(&mut self, f: impl FnOnce(&mut Self)) {
        self.raw("{");
        f(self);
        self.raw("}");
    }

    pub(crate) fn list<T>(&mut self, items: &[T], f: impl Fn(&mut Self, &T)) {
        self.raw("[");
        for (i, item) in items.iter().enumerate() {
            if i > 0 {
                self.raw(",");
            }
            f(self, item);
        }
        self.raw("]");
    }

    pub(crate) fn bool(&mut self, key: &str, v: bool) {
        self.key(key);
        self.raw(if v { "true" } else { "false" });
    }

    pub(crate) fn int(&mut self, key: &str, v: i64) {
        self.key(key);
        self.raw(&v.to_string());
    }

    pub(crate) fn str(&mut self, key: &str, v: &str) {
        self.key(key);
        self.string(v);
    }

    pub(crate) fn string(&mut self, v: &str) {
        self.raw("\"");
        self.escaped(v);
        self.raw("\"");
    }

    /// A string in which each byte that is not UTF-8 stands as U+FFFD.
    pub(crate) fn bytes(&mut self, v: &[u8]) {
        self.raw("\"");
        for chunk in v.utf8_chunks() {
            self.escaped(chunk.valid());
            for _ in chunk.invalid() {
                self.raw("\\ufffd");
            }
        }
        self.raw("\"");
    }

    /// The inside of a string with Go's escapes, those for HTML included.
    pub(crate) fn escaped(&mut self, v: &str) {
        for c in v.chars() {
            match c {
                '"' => self.raw("\\\""),
                '\\' => self.raw("\\\\"),
                '\n' => self.raw("\\n"),
                '\r' => self.raw("\\r"),
                '\t' => self.raw("\\t"),
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..'\x20' => {
                    self.raw(&format!("\\u{:04x}", u32::from(c)));
                }
                _ => self.raw(c.encode_utf8(&mut [0; 4])),
            }
        }
    }

    pub(crate) fn strings(&mut self, key: &str, v: &[String]) {
        self.key(key);
        self.list(v, |w, s| w.string(s));
    }
}
