//! Just enough of Rust's lexical rules to know names from comments and strings.

/// A piece of source: a name, or one character of punctuation, and its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.text == text
    }

    pub(crate) fn is_name(&self) -> bool {
        self.text
            .starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a source, without comments, strings, characters and lifetimes.
pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source.chars().collect(),
        at: 0,
        line: 1,
        tokens: Vec::new(),
    };
    while lexer.at < lexer.rest.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.rest.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn advance(&mut self) -> char {
        let character = self.peek(0);
        self.line += usize::from(character == '\n');
        self.at += 1;
        character
    }

    fn step(&mut self) {
        match (self.peek(0), self.peek(1)) {
            ('/', '/') => self.skip_while(|c| c != '\n'),
            ('/', '*') => self.block_comment(),
            ('"', _) => self.string(),
            ('\'', _) => self.quote(),
            ('b' | 'c', '"') => {
                self.advance();
                self.string();
            }
            ('b', '\'') => {
                self.advance();
                self.quote();
            }
            ('r', '"' | '#') if self.is_raw_string(1) => self.raw_string(1),
            ('b' | 'c', 'r') if self.is_raw_string(2) => self.raw_string(2),
            (c, _) if c.is_alphanumeric() || c == '_' => self.word(),
            (c, _) if c.is_whitespace() => {
                self.advance();
            }
            _ => {
                let line = self.line;
                let text = self.advance().to_string();
                self.tokens.push(Token { text, line });
            }
        }
    }

    fn skip_while(&mut self, goes_on: impl Fn(char) -> bool) {
        while self.at < self.rest.len() && goes_on(self.peek(0)) {
            self.advance();
        }
    }

    fn word(&mut self) {
        let (start, line) = (self.at, self.line);
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let text = self.rest[start..self.at].iter().collect();
        self.tokens.push(Token { text, line });
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        while self.at < self.rest.len() {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.advance();
                    continue;
                }
            }
            self.advance();
            self.advance();
            if depth == 0 {
                return;
            }
        }
    }

    fn string(&mut self) {
        self.advance();
        while self.at < self.rest.len() {
            match self.advance() {
                '\\' => {
                    self.advance();
                }
                '"' => return,
                _ => {}
            }
        }
    }

    /// A character or a lifetime: `'a'` ends with a quote, `'a` does not.
    fn quote(&mut self) {
        let is_lifetime = self.peek(1) != '\\' && self.peek(2) != '\'';
        self.advance();
        if is_lifetime {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
            return;
        }
        if self.advance() == '\\' {
            self.advance();
        }
        self.skip_while(|c| c != '\'');
        self.advance();
    }

    fn is_raw_string(&self, prefix: usize) -> bool {
        let hashes = (prefix..).take_while(|at| self.peek(*at) == '#').count();
        self.peek(prefix + hashes) == '"'
    }

    fn raw_string(&mut self, prefix: usize) {
        let hashes = (prefix..).take_while(|at| self.peek(*at) == '#').count();
        for _ in 0..=prefix + hashes {
            self.advance();
        }
        while self.at < self.rest.len() {
            let ends = (0..hashes).all(|hash| self.peek(1 + hash) == '#');
            if self.advance() == '"' && ends {
                self.at += hashes;
                return;
            }
        }
    }
}

/// The tokens without items that are compiled for tests only.
pub(crate) fn without_tests(tokens: &[Token]) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        match attribute_end(tokens, at) {
            Some(end) if is_test_attribute(&tokens[at..end]) => at = item_end(tokens, end),
            Some(end) => {
                kept.extend_from_slice(&tokens[at..end]);
                at = end;
            }
            None => {
                kept.push(tokens[at].clone());
                at += 1;
            }
        }
    }
    kept
}

/// Behind the outer attribute that begins at `at`, if one does.
fn attribute_end(tokens: &[Token], at: usize) -> Option<usize> {
    let opens = tokens[at].is("#") && tokens.get(at + 1)?.is("[");
    opens.then(|| group_end(tokens, at + 1))
}

fn is_test_attribute(attribute: &[Token]) -> bool {
    let names: Vec<&str> = attribute
        .iter()
        .filter(|token| token.is_name())
        .map(|token| token.text.as_str())
        .collect();
    match names.as_slice() {
        ["test"] => true,
        ["cfg", rest @ ..] => rest.contains(&"test") && !rest.contains(&"not"),
        _ => false,
    }
}

/// Behind the item that begins at `at`: its block or its semicolon.
fn item_end(tokens: &[Token], mut at: usize) -> usize {
    while at < tokens.len() {
        if tokens[at].is(";") {
            return at + 1;
        }
        if tokens[at].is("{") {
            return group_end(tokens, at);
        }
        at = match tokens[at].text.as_str() {
            "(" | "[" => group_end(tokens, at),
            _ => at + 1,
        };
    }
    at
}

/// Behind the bracket that closes the one at `at`.
pub(crate) fn group_end(tokens: &[Token], mut at: usize) -> usize {
    let mut depth = 0;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at;
        }
    }
    at
}
