//! imap-codec's decoding of a recording, as a client of the benchmarks (see `client.py`): for each line of standard
//! input all responses are decoded once, and the sample is written as JSON.
//!
//! Arguments: the file with the recording; "kept", or "streamed" where each response is dropped at once; "once" where
//! the instructions are counted from outside: decode without being asked, and end.

use std::io::{self, BufRead, Write};
use std::time::Instant;
use std::{env, fs, hint, process};

use imap_codec::{decode::Decoder, ResponseCodec};

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

extern "C" {
    fn clock_gettime(clock: i32, time: *mut Timespec) -> i32;
}

const CLOCK_PROCESS_CPUTIME_ID: i32 = 2; // Linux

fn cpu() -> f64 {
    let mut time = Timespec { seconds: 0, nanoseconds: 0 };
    if unsafe { clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &mut time) } != 0 {
        panic!("no clock for the process's CPU time");
    }
    time.seconds as f64 + time.nanoseconds as f64 * 1e-9
}

/// Decode everything; returns the seconds of CPU and of the wall clock that it took.
fn decode(recording: &[u8], keep: bool) -> (f64, f64) {
    let codec = ResponseCodec::default();
    let mut kept = Vec::new();
    let mut rest = recording;
    let (began, cpu_began) = (Instant::now(), cpu());
    while !rest.is_empty() {
        let (behind, response) = codec.decode(rest).expect("a response that imap-codec can't decode");
        if keep {
            kept.push(response);
        } else {
            hint::black_box(response);
        }
        rest = behind;
    }
    (cpu() - cpu_began, began.elapsed().as_secs_f64())
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let recording = fs::read(&arguments[0])?;
    let keep = arguments[1] == "kept";
    if arguments.get(2).is_some_and(|how| how == "once") {
        decode(&recording, keep);
        process::exit(0);
    }
    for line in io::stdin().lock().lines() {
        line?;
        let (cpu, wall) = decode(&recording, keep);
        println!(r#"{{"cpu": {cpu}, "wall": {wall}, "memory": 0, "digest": ""}}"#);
        io::stdout().flush()?;
    }
    Ok(())
}
