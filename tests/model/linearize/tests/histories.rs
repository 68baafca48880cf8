// SPDX-License-Identifier: GPL-2.0

//! Histories that are known to be right, wrong, or no histories at all.

use std::collections::BTreeSet;

use linearize::{check, Contents, Reader, Violation};

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

#[track_caller]
fn violation(text: &str) -> Violation {
    let mut verdicts = verdicts(text);
    let last = verdicts.pop().expect("a history");
    last.expect_err("it is linearizable")
}

/// Wrong, for that key; and so is what is reported, by itself.
#[track_caller]
fn wrong(text: &str, key: u64) -> Violation {
    let violation = violation(text);
    assert_eq!(violation.key, Some(key));
    violation
}

/// Right for each key, but not for all of them with that limit.
#[track_caller]
fn too_many_or_few(limit: usize, text: &str) -> Violation {
    right(&text.replace(" FULL", " ERROR"));
    let violation = violation(&format!("# limit {limit}\n{text}"));
    assert_eq!(violation.key, None);
    violation
}

#[track_caller]
fn right_with_limit(limit: usize, text: &str) {
    right(&format!("# limit {limit}\n{text}"));
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
    let before = BTreeSet::from([Contents::from([(7, 1)])]);
    assert_eq!(violation.before, before);
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
fn no_more_keys_than_the_limit() {
    for (third, fits) in [
        ("store 3 1 =", false),
        ("swap 3 1 = -", false),
        ("load_or_store 3 1 = 1 0", false),
        // Nothing new.
        ("store 2 5 =", true),
        ("swap 2 5 = 1", true),
        ("load_or_store 2 5 = 1 1", true),
        ("compare_and_swap 2 1 5 = 1", true),
        ("load 3 = -", true),
        ("store 3 1 = ERROR", true),
        ("store 3 1 = FULL", true),
        ("swap 3 1 = FULL", true),
        ("load_or_store 3 1 = FULL", true),
    ] {
        let text = format!("0 1 2 store 1 1 =\n0 3 4 store 2 1 =\n0 5 6 {third}\n");
        match fits {
            true => right_with_limit(2, &text),
            false => drop(too_many_or_few(2, &text)),
        }
    }
    // One after the other has two, however they come.
    too_many_or_few(
        1,
        "0 1 9 store 1 1 =\n1 2 8 store 2 1 =\n2 3 10 load 1 = 1\n",
    );
}

#[test]
fn refused_only_at_the_limit() {
    // One other is not two.
    let two = "0 1 2 store 1 1 =\n0 3 4 store 2 1 = FULL\n";
    right_with_limit(1, two);
    let found = too_many_or_few(2, two);
    assert_eq!(found.before, BTreeSet::from([Contents::from([(1, 1)])]));
    assert_eq!(found.operations.len(), 1);
    // The key itself does not count: it may be overwritten.
    too_many_or_few(1, "0 1 2 store 1 1 =\n0 3 4 store 1 2 = FULL\n");
    too_many_or_few(0, "0 1 2 store 1 1 =\n");
    right_with_limit(0, "0 1 2 store 1 1 = FULL\n");
    // No limit, no refusal.
    assert_eq!(violation(two).key, None);
}

#[test]
fn refused_at_some_instant() {
    // Another key goes, and comes back, while one is refused.
    let before = "0 1 2 store 1 1 =\n";
    right_with_limit(
        1,
        &format!("{before}0 3 6 delete 1 =\n1 4 8 store 2 1 = FULL\n"),
    );
    right_with_limit(1, &format!("{before}0 3 6 delete 1 =\n1 4 8 store 2 1 =\n"));
    right_with_limit(
        1,
        &format!("{before}0 3 4 delete 1 =\n1 5 9 store 2 1 = FULL\n0 6 8 store 1 2 =\n"),
    );
    too_many_or_few(
        1,
        &format!("{before}0 3 4 delete 1 =\n1 5 8 store 2 1 = FULL\n0 9 10 store 1 2 =\n"),
    );
    // Two at the limit: one of them is refused, and not both.
    right_with_limit(1, "0 1 4 store 1 1 = FULL\n1 2 5 store 2 1 =\n");
    too_many_or_few(1, "0 1 4 store 1 1 = FULL\n1 2 5 store 2 1 = FULL\n");
    // Each of two threads sees that the other is refused: no order has both.
    too_many_or_few(
        1,
        "0 1 9 store 1 1 =\n1 2 8 store 2 1 =\n2 3 4 store 1 7 = FULL\n2 5 6 store 2 7 = FULL\n",
    );
}

#[test]
fn a_clear_makes_room_at_one_instant() {
    let before = "0 1 2 store 1 1 =\n0 3 4 store 2 1 =\n";
    right_with_limit(
        2,
        &format!("{before}0 5 6 clear - =\n0 7 8 store 3 1 =\n0 9 10 store 4 1 =\n"),
    );
    // Seen without 2, but with 1.
    let torn = "0 5 20 clear - =\n1 6 7 load 2 = -\n1 8 9 load 1 = 1\n";
    assert_eq!(violation(&format!("{before}{torn}")).key, None);
    // Of many keys, each is looked at by itself.
    let many: Vec<String> = (10..30)
        .map(|key| format!("{key} 1 2 load {key} = -\n"))
        .collect();
    right(&format!("{}{before}{torn}", many.concat()));
    // A walk is not one instant.
    right_with_limit(
        2,
        &format!("{before}0 5 20 range - = 2 1 3 1\n1 6 7 delete 1 =\n1 8 9 store 3 1 =\n"),
    );
    right_with_limit(
        2,
        &format!("{before}0 5 20 range - = 1 1 2 1 3 1\n1 6 7 delete 1 =\n1 8 9 store 3 1 =\n"),
    );
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
    malformed("0 1 2 delete 7 = FULL\n", 1, "results like");
    malformed("# limit -\n", 1, "`-` is not a number");
    malformed("0 1 2 load 7 = -\n# limit 1\n", 2, "from the beginning");
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
                0 17 18 clear - =\n0 19 20 range - = 1 2 3 4\n0 21 22 store 7 1 = FULL\n";
    let mut again = String::new();
    for history in Reader::new(text.as_bytes()) {
        for operation in history.expect("a history").operations {
            again += &format!("{operation}\n");
        }
    }
    assert_eq!(again, text);
}
