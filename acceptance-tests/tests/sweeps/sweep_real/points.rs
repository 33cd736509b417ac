//! Chooses the points that are tried.
use super::{OPERATIONS, Operation};
use lab::scope::Scope;
use lab::story::blow::{Blow, Point, Strike};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The committed points, one per line.
const COMMITTED: &str = include_str!("../real.points");

/// A point, and the operation that runs when it is struck.
type At = (Operation, Strike);

/// The points of this run, in order.
pub fn chosen(scope: Scope, seed: u64) -> Box<dyn Iterator<Item = At>> {
    if let Ok(only) = std::env::var("OB_SWEEP_ONLY") {
        return Box::new(only.split(',').map(named).collect::<Vec<_>>().into_iter());
    }
    match scope {
        Scope::Fixed => Box::new(committed()),
        Scope::All => Box::new(every(seed)),
        Scope::Explore(_) => {
            let mut rng = StdRng::seed_from_u64(seed);
            Box::new(OPERATIONS.into_iter().cycle().map(move |(operation, kinds)| {
                let kind = pick(&mut rng, kinds).to_owned();
                let (point, blow) = (pick(&mut rng, &Point::ALL), pick(&mut rng, &Blow::ALL));
                (operation, Strike { kind, point, blow, host: rng.random_range(0..2) })
            }))
        }
    }
}

/// The committed points.
fn committed() -> impl Iterator<Item = At> {
    COMMITTED.lines().filter(|l| !l.is_empty() && !l.starts_with('#')).map(named)
}

/// The point of a name such as `Restart:stop_server:applied:PowerLoss`. With `:2` after it the
/// second host suffers the blow, where either host may.
fn named(name: &str) -> At {
    let words: Vec<&str> = name.split(':').collect();
    let [operation, kind, point, blow, ref host @ ..] = words[..] else {
        panic!("{name:?} is not operation:kind:place:blow")
    };
    let (operation, kinds) = OPERATIONS
        .into_iter()
        .find(|o| format!("{:?}", o.0) == operation)
        .unwrap_or_else(|| panic!("{name}: no such operation"));
    assert!(kinds.contains(&kind), "{name}: no such step");
    let point = Point::ALL
        .into_iter()
        .find(|p| p.as_str() == point)
        .unwrap_or_else(|| panic!("{name}: no such place in a step"));
    let blow = Blow::ALL
        .into_iter()
        .find(|b| format!("{b:?}") == blow)
        .unwrap_or_else(|| panic!("{name}: no such blow"));
    (operation, Strike { kind: kind.into(), point, blow, host: usize::from(*host == ["2"]) })
}

/// Every step of every operation at each of its places, with blows in turn; or one part of them
/// (`OB_SWEEP_PART`).
fn every(seed: u64) -> impl Iterator<Item = At> {
    let each = std::env::var("OB_SWEEP_BLOWS").is_ok_and(|b| b == "all");
    let (mine, parts) = part();
    let mut turn = usize::try_from(seed).unwrap_or(0);
    let mut all = Vec::new();
    for (operation, kinds) in OPERATIONS {
        for (kind, point) in kinds.iter().flat_map(|k| Point::ALL.map(|p| (*k, p))) {
            turn += 1;
            let blows =
                if each { Blow::ALL.to_vec() } else { vec![Blow::ALL[turn % Blow::ALL.len()]] };
            all.extend(blows.into_iter().map(|blow| (operation, kind, point, blow)));
        }
    }
    let numbered = (1..).zip(all).filter(move |(count, _)| count % parts == mine);
    numbered.map(move |(count, (operation, kind, point, blow))| {
        (operation, Strike { kind: kind.into(), point, blow, host: (count / parts) % 2 })
    })
}

/// The part of all points that this process runs, and the number of parts: `OB_SWEEP_PART=1/3` runs
/// beside two others.
fn part() -> (usize, usize) {
    let Ok(text) = std::env::var("OB_SWEEP_PART") else { return (0, 1) };
    let numbers = text
        .split_once('/')
        .and_then(|(k, n)| Some((k.parse::<usize>().ok()?, n.parse::<usize>().ok()?)));
    numbers
        .filter(|(k, n)| (1..=*n).contains(k))
        .map(|(k, n)| (k - 1, n))
        .expect("OB_SWEEP_PART is K/N with 1 <= K <= N")
}

fn pick<T: Clone>(rng: &mut StdRng, from: &[T]) -> T {
    from[rng.random_range(0..from.len())].clone()
}

#[test]
fn the_committed_points_have_every_operation_place_and_blow() {
    let all: Vec<_> = committed().collect();
    for (operation, _) in OPERATIONS {
        assert!(all.iter().any(|a| a.0 == operation), "no line of real.points has {operation:?}");
    }
    for point in Point::ALL {
        assert!(all.iter().any(|a| a.1.point == point), "no line of real.points has {point:?}");
    }
    for blow in Blow::ALL {
        assert!(all.iter().any(|a| a.1.blow == blow), "no line of real.points has {blow:?}");
    }
}
