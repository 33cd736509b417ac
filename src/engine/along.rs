//! Piggybacks status queries on an effect's script, so that a step costs one round trip.
//!
//! A step is checked, has its effect and is checked again. The next step on the host is checked by
//! the same questions. A question is a script that only reads. [`Along`] remembers the questions
//! that a host was asked since the last effect there. The next effect's script asks them again at
//! its end, and [`Along`] keeps the answers for whoever asks next. So a step costs one round trip
//! instead of three or four.
//!
//! All answers are dropped when any step of the run has an effect or waits, and an answer is used
//! for [`FRESH`] at most. The same holds for the answer to a question that was asked by itself.
use super::step::Host;
use crate::transport::Output;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How old an answer may be.
const FRESH: Duration = Duration::from_secs(2);
/// How many questions are remembered for a host: the newest ones.
const MOST: usize = 4;
/// A random word that begins the lines between answers. Nobody on the host knows it before the
/// script runs, so nobody can forge such a line.
pub(super) struct Nonce(String);

impl Nonce {
    /// A new random word.
    pub fn fresh() -> Self {
        Self(format!("ob-along-{:032x}", rand::random::<u128>()))
    }
}

/// The remembered questions and kept answers of one run.
#[derive(Default)]
pub(super) struct Along(Mutex<State>);

#[derive(Default)]
struct State {
    /// The questions that each host was asked since the last effect there.
    asked: BTreeMap<Host, Vec<String>>,
    /// What each question printed, and when.
    answers: BTreeMap<(Host, String), (String, Instant)>,
    /// Grows whenever all answers are dropped. An answer counts only in the turn in which its
    /// question was asked.
    turn: u64,
}

impl State {
    fn end_answers(&mut self) {
        self.answers.clear();
        self.turn += 1;
    }
}

impl std::fmt::Debug for Along {
    /// Leaves the answers out: there may be secrets in them.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Along").finish_non_exhaustive()
    }
}

impl Along {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a question, and gives its answer if one is kept and fresh.
    pub fn ask(&self, host: &Host, question: &str) -> Option<Output> {
        let mut state = self.state();
        let asked = state.asked.entry(host.clone()).or_default();
        if asked.iter().all(|q| q != question) {
            asked.push(question.to_owned());
            asked.drain(..asked.len().saturating_sub(MOST));
        }
        let (stdout, when) = state.answers.get(&(host.clone(), question.to_owned()))?;
        (when.elapsed() < FRESH).then(|| Output { stdout: stdout.clone(), ..Output::default() })
    }

    /// An effect on `host` begins: drops all answers. Gives the questions that its script shall
    /// ask, and the effect's turn.
    pub fn begin(&self, host: &Host) -> (Vec<String>, u64) {
        let mut state = self.state();
        state.end_answers();
        (state.asked.remove(host).unwrap_or_default(), state.turn)
    }

    /// The current turn. Take it before asking, and pass it to [`Along::keep`].
    pub fn turn(&self) -> u64 {
        self.state().turn
    }

    /// Keeps the answer to a question that was asked in `turn`, unless answers were dropped since.
    pub fn keep(&self, host: &Host, question: &str, stdout: &str, turn: u64) {
        let mut state = self.state();
        if state.turn == turn {
            state
                .answers
                .insert((host.clone(), question.to_owned()), (stdout.to_owned(), Instant::now()));
        }
    }

    /// An effect that began in `turn` has ended, well or not. Drops all answers: what was read
    /// during the effect may not be true any more. Takes what [`script`] printed for `questions`
    /// out of `output` and keeps it as answers, unless another effect began meanwhile.
    pub fn end(
        &self,
        host: &Host,
        questions: &[String],
        output: &mut Output,
        turn: u64,
        nonce: &Nonce,
    ) {
        let (own, answers) = split(&output.stdout, questions.len(), nonce);
        output.stdout = own;
        let mut state = self.state();
        let alone = state.turn == turn;
        state.end_answers();
        for (question, answer) in questions.iter().zip(answers).filter(|_| alone) {
            if let Some(answer) = answer {
                state.answers.insert((host.clone(), question.clone()), (answer, Instant::now()));
            }
        }
    }

    /// Drops all answers.
    pub fn forget(&self) {
        self.state().end_answers();
    }
}

/// The shell text that asks the questions, each in a subshell of its own.
pub(super) fn script(questions: &[String], Nonce(mark): &Nonce) -> String {
    let mut text = String::new();
    for question in questions {
        let _ = writeln!(text, "printf '\\n{mark} ask\\n'\n(\n{question}\n) </dev/null");
        let _ = writeln!(text, "printf '\\n{mark} %s\\n' \"$?\"");
    }
    text
}

/// Splits an output into what came before the first question, and what each of `count` questions
/// printed: `None` where the question failed or its answer is missing.
fn split(stdout: &str, count: usize, Nonce(mark): &Nonce) -> (String, Vec<Option<String>>) {
    let begin = format!("\n{mark} ask\n");
    let mut parts = stdout.split(begin.as_str());
    let own = parts.next().unwrap_or_default().to_owned();
    let good = format!("\n{mark} 0\n");
    let mut answers: Vec<_> =
        parts.map(|p| p.strip_suffix(good.as_str()).map(str::to_owned)).collect();
    // There are not as many answers as questions: whatever this is, it holds no answer.
    if answers.len() != count {
        answers = vec![None; count];
    }
    (own, answers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_beside_an_effect_ends_with_it() {
        let nonce = Nonce::fresh();
        let mark = &nonce.0;
        let (along, host) = (Along::default(), crate::engine::tests::host("h1"));
        let (_, turn) = along.begin(&host);
        along.keep(&host, "beside", "before the effect", along.turn());
        assert!(along.ask(&host, "beside").is_some());
        let mut output = Output {
            stdout: format!("own\n{mark} ask\nafter it\n{mark} 0\n"),
            ..Output::default()
        };
        along.end(&host, &["along".to_owned()], &mut output, turn, &nonce);
        assert!(along.ask(&host, "beside").is_none(), "it was true before the effect");
        assert_eq!(along.ask(&host, "along").map(|o| o.stdout).as_deref(), Some("after it"));

        let (_, turn) = along.begin(&host);
        along.begin(&host);
        let mut output = Output {
            stdout: format!("own\n{mark} ask\nafter it\n{mark} 0\n"),
            ..Output::default()
        };
        along.end(&host, &["along".to_owned()], &mut output, turn, &nonce);
        assert!(along.ask(&host, "along").is_none(), "another effect has begun meanwhile");
    }

    #[test]
    fn answers_are_told_apart_from_the_effects_own_words() {
        let nonce = Nonce("ob-along".into());
        let mark = "ob-along";
        let ask = format!("\n{mark} ask\n");
        let cases = [
            ("own\n", 0, "own\n", vec![]),
            ("own\n\nob-along ask\na=1\n\nob-along 0\n", 1, "own\n", vec![Some("a=1\n")]),
            (
                "\nob-along ask\na\nob-along 0\n\nob-along ask\n\nob-along 0\n",
                2,
                "",
                vec![Some("a"), Some("")],
            ),
            (
                "\nob-along ask\nhalf\nob-along 1\n\nob-along ask\nb\nob-along 0\n",
                2,
                "",
                vec![None, Some("b")],
            ),
            ("own\nob-along ask\ncut", 1, "own", vec![None]),
            ("own", 2, "own", vec![None, None]),
        ];
        for (stdout, count, own, answers) in cases {
            let (found, all) = split(stdout, count, &nonce);
            assert_eq!(
                (found.as_str(), all.iter().map(Option::as_deref).collect::<Vec<_>>()),
                (own, answers),
                "{stdout:?}"
            );
        }
        let forged = format!("x{ask}y{ask}z\n{mark} 0\n");
        assert_eq!(
            split(&forged, 1, &nonce).1,
            [None],
            "who prints our lines gets no answer taken for true"
        );
    }
}
