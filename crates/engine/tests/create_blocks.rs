//! Blocks from an OpenMetrics file larger than one piece, in more blocks than one pass makes; and the
//! tools that look at them.
#![allow(clippy::unwrap_used)]

use std::fmt::Write;
use std::path::Path;
use std::sync::{Arc, mpsc};

use engine::tools::{BenchWrite, CreateBlocks, DumpFormat, Piece, Tool, ToolHost, start};
use storage::{Fs, ManualClock, MemFs, OsSpawn};

const HOUR_MS: i64 = 3_600_000;

struct Said {
    result: String,
    warnings: Vec<String>,
    ended: Result<bool, String>,
}

fn run(fs: &MemFs, dir: &str, tool: Tool) -> Said {
    let host = ToolHost {
        fs: Arc::new(fs.clone()),
        clock: Arc::new(ManualClock::new(1_000)),
        spawn: Arc::new(OsSpawn::new("tool", 2).unwrap()),
    };
    let run = start(dir.into(), tool, host);
    let mut said = Said { result: String::new(), warnings: Vec::new(), ended: Ok(false) };
    loop {
        let (send, receive) = mpsc::channel();
        run.next(move |piece| send.send(piece).unwrap());
        match receive.recv().unwrap() {
            Ok(Some(Piece::Result(bytes))) => said.result += std::str::from_utf8(&bytes).unwrap(),
            Ok(Some(Piece::Warning(text))) => said.warnings.push(text),
            Ok(Some(_)) => {}
            Ok(None) => {
                said.ended = Ok(run.clean());
                return said;
            }
            Err(e) => {
                said.ended = Err(e.message);
                return said;
            }
        }
    }
}

fn create(fs: &MemFs, text: &str, labels: &[(&str, &str)]) -> Said {
    let mut file = fs.create(Path::new("in.om")).unwrap();
    file.append(text.as_bytes()).unwrap();
    let labels = labels.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
    let options = CreateBlocks {
        input: "in.om".into(),
        labels,
        block_duration_ms: 2 * HOUR_MS,
        quiet: false,
        human_readable: false,
    };
    run(fs, "out", Tool::CreateBlocks(options))
}

fn dump(fs: &MemFs, format: DumpFormat) -> String {
    let all = vec!["{__name__=~'.+'}".to_owned()];
    let said = run(fs, "out", Tool::Dump { min_ms: i64::MIN, max_ms: i64::MAX, selectors: all, format });
    assert_eq!(said.ended, Ok(true));
    said.result
}

#[test]
fn a_file_of_several_pieces_and_passes() {
    let fs = MemFs::new();
    let mut text = "# TYPE h histogram\n".to_owned();
    // 100 blocks, 200 samples of each of two series, in order of time: about 2 MB. The type that makes
    // `1` of the bound `1.0` stands in the first piece only.
    let samples = 100 * 200;
    for i in 0..samples {
        let t = i * 2 * 3600 / 200;
        writeln!(text, "h_bucket{{le=\"1\",job=\"a job of some length\"}} {i} {t}").unwrap();
        writeln!(text, "h_bucket{{le=\"+Inf\",job=\"a job of some length\"}} {i} {t}").unwrap();
    }
    assert!(text.len() > 2 << 20);
    let said = create(&fs, &(text.clone() + "# EOF\n"), &[("job", "b"), ("extra", "x")]);
    assert_eq!((said.ended, said.warnings), (Ok(true), Vec::new()));
    let lines: Vec<&str> = said.result.lines().collect();
    assert_eq!(lines.len(), 101, "a heading and a line for each block");
    assert!(lines[1].contains("1h59m24.001s  400          4            2"), "{}", lines[1]);
    let want = "{\"__name__\":\"h_bucket\",\"extra\":\"x\",\"job\":\"b\",\"le\":\"+Inf\"}\n\
                {\"__name__\":\"h_bucket\",\"extra\":\"x\",\"job\":\"b\",\"le\":\"1.0\"}\n";
    assert_eq!(dump(&fs, DumpFormat::SeriesJson), want);
    assert_eq!(dump(&fs, DumpFormat::Prometheus).lines().count(), 2 * samples);
    let verified = run(&fs, "out", Tool::Verify { json: true });
    assert_eq!(verified.ended, Ok(true), "{}", verified.result);
    assert!(verified.result.starts_with("{\"blocks\":100,\"series\":200,"), "{}", verified.result);
    // Without its end the file is refused, at the line behind its last.
    let said = create(&fs, &text, &[]);
    let lines = 2 + 2 * samples;
    assert_eq!(
        said.ended,
        Err(format!("getting min and max timestamp: next: in.om:{lines}: data does not end with # EOF"))
    );
}

#[test]
fn an_end_where_a_piece_ends() {
    // The first piece is 1 MiB long and ends with the end mark.
    let line = "a{b=\"c\"} 1 1\n";
    let mut text = line.repeat((1 << 20) / line.len() - 2);
    let comment = (1 << 20) - text.len() - "# EOF\n".len() - "# HELP a \n".len();
    writeln!(text, "# HELP a {}", "x".repeat(comment)).unwrap();
    text += "# EOF\n";
    assert_eq!(text.len(), 1 << 20);
    assert_eq!(create(&MemFs::new(), &text, &[]).ended, Ok(true));
    let said = create(&MemFs::new(), &(text + line), &[]);
    assert!(said.ended.unwrap_err().contains("unexpected data after # EOF"));
}

#[test]
fn what_is_refused_and_what_is_left_out() {
    for (text, want) in [
        ("", "getting min and max timestamp: next: in.om:1: data does not end with # EOF"),
        (
            "a 1 1\nb 2\n# EOF\n",
            "getting min and max timestamp: in.om:2: expected timestamp for series got none",
        ),
        (
            "# HELP a b\na{b=\"1\",b=\"2\"} 1 1\n# EOF\n",
            "block creation: process blocks: add sample: in.om:2: label name \"b\" is not unique: invalid sample",
        ),
    ] {
        let fs = MemFs::new();
        assert_eq!(create(&fs, text, &[]).ended, Err(want.to_owned()));
        assert!(fs.read_dir(Path::new("out")).unwrap_or_default().is_empty(), "{text}");
    }
    // Behind 5,000 samples, a commit, what is out of order ends all.
    let mut text: String = (0..5001).map(|i| format!("a {i} {i}\n")).collect();
    text += "a 1 17\n# EOF\n";
    let fs = MemFs::new();
    let said = create(&fs, &text, &[]);
    let want = "block creation: process blocks: add sample: in.om:5002: out of order sample";
    assert_eq!(said.ended, Err(want.to_owned()));
    assert_eq!(fs.read_dir(Path::new("out")).unwrap(), [], "nothing is left behind");

    let fs = MemFs::new();
    let said = create(&fs, "a 1 -10\na 1 10\na 2 5\na 3 11\na 4 11\n# EOF\n", &[]);
    assert_eq!(said.ended, Ok(true));
    let want = "left out between 0 and 7200000: 2 samples, out of order or given twice";
    assert_eq!(said.warnings, [want]);
    let want = "{__name__=\"a\"} 1 -10000\n{__name__=\"a\"} 1 10000\n{__name__=\"a\"} 3 11000\n";
    assert_eq!(dump(&fs, DumpFormat::Prometheus), want);
}

#[test]
fn the_benchmark_appends_and_deletes_nothing_of_others() {
    let fs = MemFs::new();
    let bench = || Tool::BenchWrite(BenchWrite { file: None, metrics: 70, scrapes: 150 });
    for _ in 0..2 {
        let said = run(&fs, "benchout", bench());
        assert_eq!(said.ended, Ok(true));
        for line in [
            ">> start stage=readData\n",
            "ingestion completed\n",
            " > total samples: 14000\n",
            " > samples/sec: ",
        ] {
            assert!(said.result.contains(line), "{}", said.result);
        }
    }
    fs.create_dir_all(Path::new("benchout/01M81ZHRY277S4V0P2N6YWKFGF")).unwrap();
    let said = run(&fs, "benchout", bench());
    assert!(said.ended.unwrap_err().contains("holds 01M81ZHRY277S4V0P2N6YWKFGF"));
    assert!(fs.exists(Path::new("benchout/storage")));
    let mut file = fs.create(Path::new("series.json")).unwrap();
    file.append(
        b"{\"__name__\":\"a\",\"b\":\"c\"}\n{\"b\":\"c\",\"__name__\":\"a\"}\n{\"x\":\"y\"}\n{\"z\"}\n",
    )
    .unwrap();
    let file =
        |metrics| Tool::BenchWrite(BenchWrite { file: Some("series.json".into()), metrics, scrapes: 1 });
    assert!(run(&fs, "b2", file(2)).result.contains("total samples: 200\n"));
    assert!(run(&fs, "b2", file(9)).ended.unwrap_err().starts_with("series.json:4: "));
}
