// SPDX-License-Identifier: GPL-2.0

//! Histories as text.

use std::collections::HashMap;
use std::fmt;
use std::io::BufRead;

use crate::{Action, History, Number, Operation};

/// A line that cannot be read.
#[derive(Debug)]
pub struct Malformed {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

/// Reads one history after the other.
pub struct Reader<R> {
    from: R,
    line: usize,
    /// A history has begun of which no operation has been read yet.
    begun: bool,
    over: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads from there.
    pub fn new(from: R) -> Self {
        let (line, begun, over) = (0, false, false);
        Reader {
            from,
            line,
            begun,
            over,
        }
    }

    fn read(&mut self) -> Result<Option<History>, String> {
        let mut history = History::default();
        // The end of what each thread did last.
        let mut ends: HashMap<u64, u64> = HashMap::new();
        let mut text = String::new();
        while !self.over {
            self.line += 1;
            text.clear();
            let read = self.from.read_line(&mut text);
            if read.map_err(|error| format!("it cannot be read: {error}"))? == 0 {
                self.over = true;
                break;
            }
            let line = text.trim_end_matches(['\n', '\r']);
            if line.starts_with("# history") {
                if std::mem::replace(&mut self.begun, true) {
                    return Ok(Some(history));
                }
                continue;
            }
            if let Some(limit) = line.strip_prefix("# limit ") {
                if !history.operations.is_empty() {
                    return Err("a limit is there from the beginning".into());
                }
                history.limit = Some(number(limit)? as usize);
                self.begun = true;
                continue;
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let operation = operation(line)?;
            let end = ends.entry(operation.thread).or_default();
            if operation.start < *end {
                return Err(format!(
                    "thread {} begins this before it has ended what it did before",
                    operation.thread
                ));
            }
            *end = operation.end;
            self.begun = true;
            history.operations.push(operation);
        }
        Ok(std::mem::replace(&mut self.begun, false).then_some(history))
    }
}

impl<R: BufRead> Iterator for Reader<R> {
    type Item = Result<History, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.read() {
            Ok(history) => history.map(Ok),
            Err(reason) => {
                self.over = true;
                self.begun = false;
                Some(Err(Malformed {
                    line: self.line,
                    reason,
                }))
            }
        }
    }
}

fn number(word: &str) -> Result<Number, String> {
    // Neither a sign nor anything else that `parse` would accept.
    let plain = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let number = plain.then(|| word.parse().ok()).flatten();
    number.ok_or_else(|| format!("`{word}` is not a number of 64 bits"))
}

fn maybe(word: &str) -> Result<Option<Number>, String> {
    match word {
        "-" => Ok(None),
        word => number(word).map(Some),
    }
}

fn truth(word: &str) -> Result<bool, String> {
    match word {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(format!("`{word}` is neither 0 nor 1")),
    }
}

fn operation(line: &str) -> Result<Operation, String> {
    let words: Vec<&str> = line.split(' ').collect();
    let equals = words.iter().position(|word| *word == "=");
    let equals = equals.ok_or("there is no ` = ` between what was done and what came of it")?;
    let (done, results) = (&words[..equals], &words[equals + 1..]);
    let [thread, start, end, op, key, args @ ..] = done else {
        return Err("there must be a thread, a start, an end, an operation and a key".into());
    };
    let (thread, start, end) = (number(thread)?, number(start)?, number(end)?);
    if start >= end {
        return Err("it must start before it ends".into());
    }
    let expects = match *op {
        "load" | "load_and_delete" | "delete" | "clear" | "range" => 0,
        "store" | "load_or_store" | "swap" | "compare_and_delete" => 1,
        "compare_and_swap" => 2,
        _ => return Err(format!("there is no operation `{op}`")),
    };
    if args.len() != expects {
        return Err(format!(
            "`{op}` has a key and {expects} arguments, not {}",
            args.len()
        ));
    }
    let args = args
        .iter()
        .map(|arg| number(arg))
        .collect::<Result<Vec<_>, _>>()?;
    let key = match (*op, maybe(key)?) {
        ("clear" | "range", None) => None,
        ("clear" | "range", Some(_)) => return Err(format!("the key of `{op}` is `-`")),
        (_, None) => return Err(format!("`{op}` needs a key")),
        (_, key) => key,
    };
    let action = match (*op, &args[..], results) {
        (_, _, ["ERROR"]) => Action::Failed,
        ("store" | "swap" | "load_or_store", [value], ["FULL"]) => Action::Full(*value),
        ("load", _, [value]) => Action::Load(maybe(value)?),
        ("store", [value], []) => Action::Store(*value),
        ("load_or_store", [value], [actual, loaded]) => {
            let (actual, loaded) = (number(actual)?, truth(loaded)?);
            if !loaded && actual != *value {
                return Err("what was stored is not what is there then".into());
            }
            Action::LoadOrStore(*value, actual, loaded)
        }
        ("load_and_delete", _, [old]) => Action::LoadAndDelete(maybe(old)?),
        ("delete", _, []) => Action::Delete,
        ("swap", [new], [old]) => Action::Swap(*new, maybe(old)?),
        ("compare_and_swap", [old, new], [done]) => {
            Action::CompareAndSwap(*old, *new, truth(done)?)
        }
        ("compare_and_delete", [old], [done]) => Action::CompareAndDelete(*old, truth(done)?),
        ("clear", _, []) => Action::Clear,
        ("range", _, pairs) if pairs.len() % 2 == 0 => {
            let pair = |pair: &[&str]| Ok::<_, String>((number(pair[0])?, number(pair[1])?));
            Action::Range(pairs.chunks(2).map(pair).collect::<Result<_, _>>()?)
        }
        _ => {
            return Err(format!(
                "`{op}` does not have results like `{}`",
                results.join(" ")
            ))
        }
    };
    Ok(Operation {
        thread,
        start,
        end,
        key,
        action,
    })
}
