// SPDX-License-Identifier: GPL-2.0

//! Histories that are known to be right, wrong, or no histories at all.

use linearize::{check, Reader, Violation};

fn verdicts(text: &str) -> Vec<Result<usize, Violation>> {
    let read = |history: Result<_, _>| match history {
        Ok(history) => check(&history).map(|checked| checked.operations),
        Err(malformed) => panic!("{malformed}"),
    };
    Reader::new(text.as_bytes()).map(read).collect()
}

#[track_caller]
fn right(text: &str) {
    let verdicts = verdicts(text);
    assert!(
        verdicts.iter().all(Result::is_ok) && !verdicts.is_empty(),
        "{verdicts:?}"
    );
}

/// Wrong, for that key; and so is what is reported, by itself.
#[track_caller]
fn wrong(text: &str, key: u64) -> Violation {
    let mut verdicts = verdicts(text);
    let violation = verdicts
        .pop()
        .expect("a history")
        .expect_err("it is linearizable");
    assert_eq!(violation.key, key);
    violation
}

#[track_caller]
fn malformed(text: &str, line: usize, reason: &str) {
    let error = Reader::new(text.as_bytes())
        .find_map(Result::err)
        .expect("it could be read");
    assert!(error.reason.contains(reason), "{error}");
    assert_eq!(error.line, line);
}

#[test]
fn one_after_the_other() {
    right(
        "# history 1\n0 1 2 load 7 = -\n0 3 4 store 7 1 =\n0 5 6 load 7 = 1\n\
         0 7 8 swap 7 2 = 1\n0 9 10 load_or_store 7 3 = 2 1\n0 11 12 compare_and_swap 7 2 4 = 1\n\
         0 13 14 compare_and_swap 7 2 5 = 0\n0 15 16 compare_and_delete 7 5 = 0\n\
         0 17 18 range - = 7 4\n0 19 20 compare_and_delete 7 4 = 1\n0 21 22 range - =\n\
         0 23 24 load_and_delete 7 = -\n0 25 26 load_or_store 7 6 = 6 0\n\
         0 27 28 load_and_delete 7 = 6\n0 29 30 store 7 1 =\n0 31 32 clear - =\n\
         0 33 34 swap 7 8 = -\n0 35 36 delete 7 =\n0 37 38 load 7 = -\n",
    );
}

#[test]
fn each_result_matters() {
    let before = "0 1 2 store 7 1 =\n";
    for line in [
        "load 7 = -",
        "load 7 = 2",
        "load_or_store 7 2 = 2 0",
        "load_or_store 7 2 = 3 1",
        "load_and_delete 7 = -",
        "load_and_delete 7 = 2",
        "swap 7 2 = -",
        "swap 7 2 = 2",
        "compare_and_swap 7 1 2 = 0",
        "compare_and_swap 7 2 1 = 1",
        "compare_and_delete 7 1 = 0",
        "compare_and_delete 7 2 = 1",
        "range - =",
        "range - = 7 2",
    ] {
        wrong(&format!("{before}0 3 4 {line}\n"), 7);
    }
}

#[test]
fn effects_matter() {
    for (effect, load) in [
        ("store 7 2 =", "2"),
        ("swap 7 2 = 1", "2"),
        ("load_or_store 7 2 = 1 1", "1"),
        ("compare_and_swap 7 1 2 = 1", "2"),
        ("compare_and_swap 7 3 2 = 0", "1"),
        ("compare_and_delete 7 1 = 1", "-"),
        ("compare_and_delete 7 3 = 0", "1"),
        ("load_and_delete 7 = 1", "-"),
        ("delete 7 =", "-"),
        ("clear - =", "-"),
        ("store 7 2 = ERROR", "1"),
        ("range - = ERROR", "1"),
        ("store 8 2 =", "1"),
    ] {
        for seen in ["1", "2", "-"] {
            let text = format!("0 1 2 store 7 1 =\n0 3 4 {effect}\n0 5 6 load 7 = {seen}\n");
            match seen == load {
                true => right(&text),
                false => drop(wrong(&text, 7)),
            }
        }
    }
}

#[test]
fn what_overlaps_may_come_in_any_order() {
    for seen in ["1", "2"] {
        right(&format!(
            "0 1 4 store 7 1 =\n1 2 5 store 7 2 =\n0 6 7 load 7 = {seen}\n"
        ));
    }
    // What ends as the other begins is not before it.
    right("0 1 4 store 7 1 =\n1 4 6 load 7 = -\n");
    wrong("0 1 4 store 7 1 =\n1 5 6 load 7 = -\n", 7);
}

#[test]
fn nobody_goes_back() {
    // Two readers of a store under way: new, and then old.
    let text = "0 1 2 store 7 1 =\n0 3 20 store 7 2 =\n1 4 5 load 7 = 2\n2 6 7 load 7 = 1\n";
    let violation = wrong(text, 7);
    // What was before is known; the load of the new value is needed, and so is the store.
    assert_eq!(violation.before.into_iter().collect::<Vec<_>>(), [Some(1)]);
    assert_eq!(violation.operations.len(), 3);
    right("0 1 2 store 7 1 =\n0 3 20 store 7 2 =\n1 4 5 load 7 = 1\n2 6 7 load 7 = 2\n");
}

#[test]
fn one_winner() {
    wrong(
        "0 1 5 load_or_store 7 1 = 1 0\n1 2 6 load_or_store 7 2 = 2 0\n",
        7,
    );
    right("0 1 5 load_or_store 7 1 = 1 0\n1 2 6 load_or_store 7 2 = 1 1\n");
    wrong(
        "0 1 2 store 7 1 =\n0 3 9 load_and_delete 7 = 1\n1 4 8 load_and_delete 7 = 1\n",
        7,
    );
}

#[test]
fn a_lost_store() {
    // Between the two operations of thread 1, nobody deletes.
    wrong(
        "0 1 9 store 7 1 =\n1 2 3 load 7 = 1\n1 4 5 load 7 = -\n1 10 11 load 7 = 1\n",
        7,
    );
    right("0 1 9 store 7 1 =\n1 2 3 load 7 = 1\n2 2 6 delete 7 =\n1 4 5 load 7 = -\n");
}

#[test]
fn walks() {
    wrong("0 1 2 store 7 1 =\n0 3 4 range - = 7 1 7 1\n", 7);
    // A key that was there throughout, and one that came and went.
    right("0 1 2 store 7 1 =\n0 3 20 range - = 7 1\n1 4 5 store 8 1 =\n1 6 7 delete 8 =\n");
    wrong(
        "0 1 2 store 7 1 =\n0 3 20 range - = 8 1\n1 4 5 store 8 1 =\n1 6 7 delete 8 =\n",
        7,
    );
    // A value that came only after the walk.
    wrong("0 1 2 range - = 8 1\n0 3 4 store 8 1 =\n", 8);
}

#[test]
fn what_had_not_ended_is_not_blamed() {
    // The store of thread 2 explains itself only by what comes after the violation.
    let text = "0 1 2 store 7 1 =\n2 3 30 swap 7 5 = 9\n1 4 5 load 7 = 2\n0 10 20 store 7 9 =\n";
    let violation = wrong(text, 7);
    assert!(violation
        .operations
        .iter()
        .any(|operation| operation.thread == 1));
}

#[test]
fn each_history_begins_empty() {
    right("# history 1\n0 1 2 store 7 1 =\n\n# history 2\n# a remark\n0 1 2 load 7 = -\n");
    let text = "# history 1\n0 1 2 store 7 1 =\n# history 2\n# history 3\n0 1 2 load 7 = -\n";
    assert_eq!(verdicts(text), [Ok(1), Ok(0), Ok(1)]);
    assert_eq!(verdicts(""), []);
}

#[test]
fn long_histories_are_quick() {
    // Four threads that always overlap, on one key.
    let mut text = String::new();
    for i in 0..20_000u64 {
        let (thread, start) = (i % 4, 10 * i);
        text += &format!("{thread} {start} {} store 7 {i} =\n", start + 39);
    }
    right(&text);
}

#[test]
fn garbage() {
    malformed("0 1 2 load 7\n", 1, "` = `");
    malformed("\n0 2 2 load 7 = -\n", 2, "start before it ends");
    malformed("0 1 load 7 = -\n", 1, "thread, a start");
    malformed("0 1 2 lod 7 = -\n", 1, "no operation `lod`");
    malformed("0 1 2 load - = 3\n", 1, "needs a key");
    malformed("0 1 2 clear 7 =\n", 1, "is `-`");
    malformed("0 1 2 load 7 = x\n", 1, "`x` is not a number");
    malformed("0 1 2 load +7 = -\n", 1, "`+7` is not a number");
    malformed("0 1 2 load 99999999999999999999 = -\n", 1, "64 bits");
    malformed("0 1 2 load 7 = 1 2\n", 1, "results like `1 2`");
    malformed("0 1 2 load 7  = 1\n", 1, "arguments");
    malformed("0 1 2 store 7 = 1\n", 1, "1 arguments");
    malformed("0 1 2 load_or_store 7 1 = 2 0\n", 1, "what was stored");
    malformed("0 1 2 load_or_store 7 1 = 2 2\n", 1, "neither 0 nor 1");
    malformed("0 1 2 range - = 1\n", 1, "results like");
    malformed("0 1 2 delete 7 = 1\n", 1, "results like");
    malformed(
        "0 1 5 load 7 = -\n0 4 6 load 7 = -\n",
        2,
        "before it has ended",
    );
    malformed("# history 1\n0 1 2 load 7 = -\nok 1\n", 3, "` = `");
    // Nothing more is read after it.
    assert_eq!(Reader::new(&b"x\n0 1 2 load 7 = -\n"[..]).count(), 1);
}

#[test]
fn text_is_what_was_read() {
    let text = "0 1 2 load 7 = -\n0 3 4 store 7 1 =\n0 5 6 load_or_store 7 2 = 1 1\n\
                0 7 8 load_and_delete 7 = 1\n0 9 10 delete 7 =\n0 11 12 swap 7 2 = -\n\
                0 13 14 compare_and_swap 7 2 3 = 1\n0 15 16 compare_and_delete 7 9 = 0\n\
                0 17 18 clear - =\n0 19 20 range - = 1 2 3 4\n";
    let mut again = String::new();
    for history in Reader::new(text.as_bytes()) {
        for operation in history.expect("a history") {
            again += &format!("{operation}\n");
        }
    }
    assert_eq!(again, text);
}
