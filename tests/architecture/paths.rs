//! The paths that a source names: in `use` trees and inline.

use crate::tokens::{Token, group_end};

/// A path such as `crate::time::Now`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    pub(crate) kind: Kind,
}

/// Where a path stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In a `use` that is not public.
    Use,
    /// In a `pub use`, of whatever visibility.
    Reexport,
    /// Anywhere else.
    Inline,
}

impl Path {
    pub(crate) fn root(&self) -> &str {
        &self.segments[0]
    }

    pub(crate) fn text(&self) -> String {
        self.segments.join("::")
    }
}

/// All paths of at least two segments, and all of `use` trees.
pub(crate) fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        if tokens[at].is("use") {
            let end = statement_end(tokens, at);
            let kind = if is_public(&tokens[..at]) {
                Kind::Reexport
            } else {
                Kind::Use
            };
            tree(&tokens[at + 1..end], &[], kind, &mut found);
            at = end;
        } else {
            at = inline(tokens, at, &mut found);
        }
    }
    found
}

fn statement_end(tokens: &[Token], at: usize) -> usize {
    let length = tokens[at..].iter().position(|token| token.is(";"));
    length.map_or(tokens.len(), |length| at + length)
}

/// Whether what stands before a `use` makes it public: `pub`, or `pub(…)`.
fn is_public(before: &[Token]) -> bool {
    match before.last() {
        Some(last) if last.is("pub") => true,
        Some(last) if last.is(")") => {
            let open = before.iter().rposition(|token| token.is("("));
            open.and_then(|open| before.get(open.checked_sub(1)?))
                .is_some_and(|token| token.is("pub"))
        }
        _ => false,
    }
}

/// Unfolds `a::{b, c::d as e, f::*}`.
fn tree(tokens: &[Token], prefix: &[String], kind: Kind, found: &mut Vec<Path>) {
    let mut segments = prefix.to_vec();
    let mut at = 0;
    while at < tokens.len() {
        let token = &tokens[at];
        if token.is("{") {
            let end = group_end(tokens, at);
            for branch in branches(&tokens[at + 1..end - 1]) {
                tree(branch, &segments, kind, found);
            }
            return;
        }
        if token.is("as") {
            break;
        }
        if token.is_name() || token.is("*") {
            segments.push(token.text.clone());
        }
        at += 1;
    }
    if let Some(first) = tokens.first() {
        let line = first.line;
        found.push(Path {
            segments,
            line,
            kind,
        });
    }
}

/// Cuts at the commas that stand in no inner braces.
fn branches(tokens: &[Token]) -> Vec<&[Token]> {
    let mut cut = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < tokens.len() {
        if tokens[at].is("{") {
            at = group_end(tokens, at);
            continue;
        }
        if tokens[at].is(",") {
            cut.push(&tokens[start..at]);
            start = at + 1;
        }
        at += 1;
    }
    if start < tokens.len() {
        cut.push(&tokens[start..]);
    }
    cut
}

/// Reads the path that begins at `at`, if one does, and returns where it ends.
fn inline(tokens: &[Token], at: usize, found: &mut Vec<Path>) -> usize {
    if !tokens[at].is_name() {
        return at + 1;
    }
    let mut segments = vec![tokens[at].text.clone()];
    let mut end = at + 1;
    while joined(tokens, end) && tokens.get(end + 2).is_some_and(Token::is_name) {
        segments.push(tokens[end + 2].text.clone());
        end += 3;
    }
    // `<T>::x` and `Vec::<T>::x` continue something else.
    let continues = at >= 2 && joined(tokens, at - 2) && at >= 3 && !is_rooted(tokens, at);
    if segments.len() > 1 && !continues {
        found.push(Path {
            segments,
            line: tokens[at].line,
            kind: Kind::Inline,
        });
    }
    end
}

/// Whether the `::` before `at` is a leading one, as in `::std::fs`.
fn is_rooted(tokens: &[Token], at: usize) -> bool {
    let before = &tokens[at - 3];
    !(before.is_name() || before.is(">") || before.is("]") || before.is(")"))
}

fn joined(tokens: &[Token], at: usize) -> bool {
    let colon = |at: usize| tokens.get(at).is_some_and(|token| token.is(":"));
    colon(at) && colon(at + 1)
}
