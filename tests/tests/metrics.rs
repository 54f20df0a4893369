//! Figures of merit against hand calculations and naive loops.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use tinyc::verify::metrics::{
    Decibel, GroupErrors, HitRate, Metric, MetricError, OutputDiff, RankedScores, Scorer, Sqnr, argmax,
};

/// AUC by its definition: every positive against every negative.
fn pair_count(scored: &[(f64, bool)]) -> f64 {
    let of = |label| scored.iter().filter(move |(_, l)| *l == label).map(|(s, _)| *s);
    let (mut wins, mut pairs) = (0.0, 0.0);
    for p in of(true) {
        for n in of(false) {
            wins += if p > n {
                1.0
            } else if p == n {
                0.5
            } else {
                0.0
            };
            pairs += 1.0;
        }
    }
    wins / pairs
}

fn ranked(scored: &[(f64, bool)]) -> RankedScores {
    let mut ranked = RankedScores::default();
    for &(score, positive) in scored {
        ranked.push(score, positive);
    }
    ranked
}

#[test]
fn auc_equals_the_pair_count_with_and_without_ties() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for case in 0..300 {
        let len = 2 + rng.next_u32() as usize % 60;
        // From nearly everything tied to nothing tied.
        let levels = [2, 3, 10, u32::MAX][case % 4];
        let mut scored: Vec<(f64, bool)> = (0..len)
            .map(|_| {
                let score = f64::from(rng.next_u32() % levels) - f64::from(levels / 2);
                (score, rng.next_u32() % 3 == 0)
            })
            .collect();
        (scored[0].1, scored[1].1) = (true, false);
        let auc = ranked(&scored).auc().unwrap();
        assert!((auc - pair_count(&scored)).abs() < 1e-12, "{scored:?}");

        let (a, b) = scored.split_at(len / 2);
        let mut merged = ranked(b);
        merged.merge(ranked(a));
        assert_eq!(merged.auc().unwrap(), auc);
    }
}

#[test]
fn auc_of_known_cases() {
    let auc = |scored: &[(f64, bool)]| ranked(scored).auc();
    assert_eq!(auc(&[(0.1, false), (0.9, true)]), Ok(1.0));
    assert_eq!(auc(&[(0.9, false), (0.1, true)]), Ok(0.0));
    assert_eq!(auc(&[(0.5, false), (0.5, true)]), Ok(0.5));
    assert_eq!(auc(&[(0.0, false), (-0.0, true)]), Ok(0.5));
    assert_eq!(auc(&[(1.0, true), (2.0, true)]), Err(MetricError::OneClass { positives: 2, negatives: 0 }));
    assert_eq!(auc(&[]), Err(MetricError::NoSamples));
    assert!(matches!(auc(&[(1.0, true), (f64::NAN, false)]), Err(MetricError::NotFinite { index: 1, .. })));
}

#[test]
fn argmax_takes_the_first_of_equals_and_refuses_nan() {
    assert_eq!(argmax(&[1.0f32, 3.0, 3.0, 2.0]), Some(1));
    assert_eq!(argmax(&[-128i8, 127, 127]), Some(1));
    assert_eq!(argmax(&[f32::NEG_INFINITY; 2]), Some(0));
    assert_eq!(argmax(&[f32::NAN, 1.0]), None);
    assert_eq!(argmax(&[1.0, f32::NAN]), None);
    assert_eq!(argmax::<f32>(&[]), None);
}

#[test]
fn hit_rate_counts_labels_and_agreement() {
    let mut rate = HitRate::default();
    assert_eq!(rate.percent(), None);
    rate.push_label(&[0.1, 0.9], 1);
    rate.push_label(&[0.9, 0.1], 1);
    rate.push_label(&[f32::NAN, 0.1], 0);
    let mut other = HitRate::default();
    other.push_agreement(&[1.0f32, 2.0], &[-1.0, 5.0]);
    rate.merge(&other);
    assert_eq!((rate.hits, rate.total), (2, 4));
    assert_eq!(rate.percent(), Some(50.0));
    // Two outputs without a largest element do not agree.
    other.push_agreement(&[f32::NAN], &[f32::NAN]);
    assert_eq!(other.percent(), Some(50.0));
}

#[test]
fn sqnr_of_hand_calculated_tensors() {
    let db = |reference: &[f32], value: &[f32]| {
        let mut sqnr = Sqnr::default();
        sqnr.push(reference, value);
        sqnr.db().map(|db| db.0)
    };
    // 3^2 + 4^2 = 25 over 0.5^2 = 0.25: a factor of 100.
    assert_eq!(db(&[3.0, 4.0], &[3.0, 4.5]), Some(20.0));
    // Noise as strong as the signal.
    assert_eq!(db(&[1.0, -1.0], &[0.0, 0.0]), Some(0.0));
    // Twice the amplitude of noise: 1 / 4, -6.0206 dB.
    let quarter = db(&[1.0], &[3.0]).unwrap();
    assert!((quarter + 6.020_599_913_279_624).abs() < 1e-12);
    assert_eq!(db(&[1.0], &[1.0]), Some(f64::INFINITY));
    assert_eq!(db(&[0.0], &[0.0]), Some(f64::INFINITY));
    assert_eq!(db(&[0.0], &[0.1]), Some(f64::NEG_INFINITY));
    assert_eq!(db(&[1.0], &[f32::NAN]), Some(f64::NEG_INFINITY));
    assert_eq!(db(&[], &[]), None);
    // The largest floats do not overflow: (2 max)^2 over max^2.
    let max = db(&[f32::MAX], &[-f32::MAX]).unwrap();
    assert!((max + 6.020_599_913_279_624).abs() < 1e-9);
}

#[test]
fn sqnr_streams() {
    let mut a = Sqnr::default();
    a.push(&[3.0], &[3.0]);
    let mut b = Sqnr::default();
    b.push(&[4.0], &[4.5]);
    a.merge(&b);
    assert_eq!(a.db(), Some(Decibel(20.0)));
    assert_eq!(a.elements, 2);
}

#[test]
fn decibels_are_valid_json_even_when_infinite() {
    for (db, text) in [(31.5, "31.5"), (f64::INFINITY, "\"inf\""), (f64::NEG_INFINITY, "\"-inf\"")] {
        assert_eq!(serde_json::to_string(&Decibel(db)).unwrap(), text);
        assert_eq!(serde_json::from_str::<Decibel>(text).unwrap(), Decibel(db));
    }
    assert_eq!(Decibel(31.46).to_string(), "31.5 dB");
    assert_eq!(Decibel(f64::INFINITY).to_string(), "inf dB");
}

#[test]
fn output_difference_gathers_all_three() {
    let mut diff = OutputDiff::default();
    diff.push(&[3.0, 4.0], &[3.0, 4.5]);
    let mut other = OutputDiff::default();
    other.push(&[0.0, 0.0], &[-0.75, 0.0]);
    diff.merge(&other);
    assert_eq!(diff.max_abs, 0.75);
    // 25 over 0.25 + 0.5625.
    let db = diff.sqnr.db().unwrap().0;
    assert!((db - 10.0 * (25.0f64 / 0.8125).log10()).abs() < 1e-12);
    assert_eq!(diff.top1.percent(), Some(50.0));
    diff.push(&[0.0], &[f32::NAN]);
    assert_eq!(diff.max_abs, f64::INFINITY);
}

#[test]
fn group_errors_are_means_of_means() {
    let mut errors = GroupErrors::default();
    // Group 2: mean of (1 + 4) / 2 and 0, group 0: 9 / 2, group 1: no sample.
    errors.push(2, &[0.0, 0.0], &[1.0, -2.0]).unwrap();
    let mut other = GroupErrors::default();
    other.push(2, &[5.0, 5.0], &[5.0, 5.0]).unwrap();
    other.push(0, &[1.0, 1.0], &[1.0, 4.0]).unwrap();
    errors.merge(&other);
    assert_eq!(errors.scores(), [Some(4.5), None, Some(1.25)]);
    assert_eq!(errors.auc(&[1, 0, 0]), Ok(1.0));
    assert_eq!(errors.auc(&[0, 1, 1]), Ok(0.0));
    assert_eq!(errors.auc(&[0, 1]), Err(MetricError::NoLabel { index: 2 }));
    assert_eq!(
        errors.push(0, &[1.0], &[1.0, 2.0]),
        Err(MetricError::NotAReconstruction { outputs: 2, inputs: 1 })
    );
}

/// Scores samples in two halves that are merged, as worker threads would.
fn score(
    metric: Metric,
    labels: &[usize],
    source: &[usize],
    samples: &[(&[f32], &[f32])],
) -> Result<f64, MetricError> {
    let mut halves = [0, 1].map(|_| Scorer::new(metric, labels, source));
    for (index, (input, output)) in samples.iter().enumerate() {
        halves[index * 2 / samples.len()].push(index, input, output)?;
    }
    let [mut first, second] = halves;
    first.merge(second);
    first.score()
}

#[test]
fn scorer_computes_each_metric() {
    let accuracy = score(
        Metric::Accuracy,
        &[0, 1, 1, 2],
        &[],
        &[(&[], &[0.8, 0.1, 0.1]), (&[], &[0.8, 0.1, 0.1]), (&[], &[0.1, 0.8, 0.1]), (&[], &[0.1, 0.1, 0.8])],
    );
    assert_eq!(accuracy, Ok(75.0));
    // Positives score 0.9 and 0.4, negatives 0.5 and 0.2: three pairs of four.
    let labels = [1, 0, 1, 0];
    let two = score(
        Metric::Auc,
        &labels,
        &[],
        &[(&[], &[0.1, 0.9]), (&[], &[0.5, 0.5]), (&[], &[0.6, 0.4]), (&[], &[0.8, 0.2])],
    );
    assert_eq!(two, Ok(0.75));
    let one = score(Metric::Auc, &labels, &[], &[(&[], &[0.9]), (&[], &[0.5]), (&[], &[0.4]), (&[], &[0.2])]);
    assert_eq!(one, Ok(0.75));
    // Group errors 0: (1 + 0) / 2, 1: 4, 2: 0.25; labels 0, 1, 1: one pair of two.
    let mse = score(
        Metric::Mse,
        &[0, 1, 1],
        &[0, 0, 1, 2],
        &[(&[0.0], &[1.0]), (&[3.0], &[3.0]), (&[1.0], &[3.0]), (&[1.0], &[0.5])],
    );
    assert_eq!(mse, Ok(0.5));
}

#[test]
fn a_model_that_does_not_suit_the_metric_is_an_error_that_says_so() {
    let push = |metric, labels: &[usize], output: &[f32]| {
        Scorer::new(metric, labels, &[0]).push(0, &[0.0; 4], output).unwrap_err().to_string()
    };
    assert!(push(Metric::Auc, &[1], &[0.0; 3]).contains("the model has 3"));
    assert!(push(Metric::Auc, &[2], &[0.0; 2]).contains("has 2; use --metric accuracy"));
    assert!(push(Metric::Auc, &[1], &[f32::NAN]).contains("not finite"));
    assert!(push(Metric::Accuracy, &[], &[0.0]).contains("no label"));
    assert!(push(Metric::Accuracy, &[10], &[0.0; 10]).contains("label 10"));
    assert!(push(Metric::Mse, &[0], &[0.0; 10]).contains("10 outputs, 4 inputs"));
    assert_eq!(Scorer::new(Metric::Accuracy, &[], &[]).score(), Err(MetricError::NoSamples));
}
