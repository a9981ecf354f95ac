use crate::data::{self, Golden};
use crate::digest::{difference, digest_of, sorted_lines};
use crate::reference::{Flight, Windows, read_flights, rows_of};
use crate::streams::{Shape, disorder_of, readings};

fn check(flights: &[Flight], windows: Windows, expected: &Golden) {
    let rows = rows_of(flights, windows);
    assert!(
        rows.is_sorted(),
        "the order of the golden is that of its lines"
    );
    assert_eq!(rows.len(), expected.rows);
    assert_eq!(digest_of(&rows), expected.digest);
}

#[test]
fn reference_over_the_extract_gives_the_committed_goldens() {
    let flights = read_flights(&data::extract());
    assert_eq!(flights.len(), 50_000);
    for windows in [Windows::Hourly, Windows::Sliding] {
        check(&flights, windows, &Golden::of_extract(windows));
    }
}

#[test]
fn reference_over_all_flights_gives_the_goldens_of_duckdb() {
    let Some(file) = data::full_file() else {
        data::leave_out(
            "the reference over all flights",
            "the file is not on this machine",
        );
        return;
    };
    let flights = read_flights(&file);
    assert_eq!(flights.len(), 3_000_000);
    for windows in [Windows::Hourly, Windows::Sliding] {
        check(&flights, windows, &Golden::of_full_file(windows));
    }
}

#[test]
fn a_flight_on_the_border_belongs_to_the_window_that_begins() {
    let flight = |departed_ms| Flight {
        origin: "ABE".to_owned(),
        departed_ms,
        delay: -3,
    };
    let hour = 3_600_000;
    assert_eq!(
        rows_of(&[flight(hour), flight(hour - 1)], Windows::Hourly),
        ["ABE,0,1,-3,-3", "ABE,3600000,1,-3,-3"]
    );
    assert_eq!(
        rows_of(&[flight(-1)], Windows::Hourly),
        ["ABE,-3600000,1,-3,-3"]
    );
}

#[test]
fn a_difference_names_what_is_missing_and_what_stands_twice() {
    let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
    assert_eq!(difference(&lines("abc"), &lines("abc")), None);
    assert_eq!(
        difference(&lines("abd"), &lines("bbd")).as_deref(),
        Some(r#"1 lines missing, such as ["a"]; 1 lines too many, such as ["b"]"#)
    );
}

#[test]
fn lines_come_from_all_folders_and_not_from_hidden_files() {
    let folder = tempfile::tempdir().expect("the machine has room for a folder");
    let below = folder.path().join("below");
    std::fs::create_dir(&below).expect("the folder is new");
    for (file, text) in [
        ("b.csv", "2\n1\n"),
        (".staged", "9\n"),
        ("below/a.csv", "3\n"),
    ] {
        std::fs::write(folder.path().join(file), text).expect("the folder is ours");
    }
    let lines = sorted_lines(folder.path()).expect("all files are whole");
    assert_eq!(lines, ["1", "2", "3"]);

    std::fs::write(below.join("torn.csv"), "4\n5").expect("the folder is ours");
    let error = sorted_lines(folder.path()).expect_err("a torn line is an error");
    assert!(
        error.to_string().contains("torn.csv ends inside a line"),
        "{error}"
    );
}

#[test]
fn a_stream_keeps_the_disorder_that_was_asked_for() {
    for seed in 0..50 {
        let shape = Shape {
            seed,
            records: 500,
            keys: 4,
            start_ms: -1_000,
            step_ms: 9,
            disorder_ms: 40,
        };
        let stream = readings(shape);
        assert_eq!(stream.len(), 500, "seed {seed}");
        let disorder = disorder_of(&stream);
        assert!(
            (1..=40).contains(&disorder),
            "seed {seed}: disorder {disorder}"
        );
        assert!(stream.iter().all(|reading| reading.key < 4), "seed {seed}");

        let ordered = readings(Shape {
            disorder_ms: 0,
            ..shape
        });
        assert_eq!(disorder_of(&ordered), 0, "seed {seed}");
    }
}
