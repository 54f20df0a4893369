//! The larger trained models that lie outside of this repository.
//!
//! In: a folder of models and a folder of data (layout below). Out: one [`Case`] a
//! model: its files, preprocessing, metric, and the figures that it must reach.
//!
//! ```text
//! MODELS/float/NAME.onnx
//! MODELS/qdq_ort/NAME_ort_minmax.onnx          quantize_static of ONNX Runtime, min-max
//! MODELS/qdq_from_tflite/NAME_int8_qdq.onnx    official int8 .tflite files by tf2onnx
//! DATA/SET_calib.npz, DATA/SET_test.npz        x: samples, y: labels
//! ```

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array4};
use ndarray_npy::{NpzReader, NpzWriter};
use tinyc::compile::CompileOptions;
use tinyc::samples::Preprocess;
use tinyc::target::Target;
use tinyc::verify::metrics::Metric;
use tinyc::verify::validate::ValidateOptions;

/// How a model is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Float32; quantized here, calibrated on the set's calibration samples.
    Float,
    /// Quantized by ONNX Runtime.
    QdqOrt,
    /// Quantized by TensorFlow Lite, converted by tf2onnx.
    QdqTflite,
}

impl Form {
    /// As the table names it.
    pub fn label(self) -> &'static str {
        match self {
            Form::Float => "float",
            Form::QdqOrt => "QDQ, ONNX Runtime",
            Form::QdqTflite => "QDQ, TensorFlow Lite",
        }
    }
}

/// A model with its data and what it must reach.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Name of the float model.
    pub name: &'static str,
    /// How it is stored.
    pub form: Form,
    /// A chip that it fits.
    pub target: &'static str,
    /// Prefix of the data files.
    set: &'static str,
    /// How stored samples become inputs: `--mean`, `--std`.
    mean_std: Option<(&'static str, &'static str)>,
    /// Samples are input codes.
    codes: bool,
    /// What it is scored by.
    pub metric: Metric,
    /// What ONNX Runtime 1.20.1 scores on the full set: the same file for QDQ
    /// models, its own min-max quantization for float models. Percent, or AUC.
    pub onnx_runtime: Option<f64>,
    /// Percent of samples on which that quantization has float's top class.
    pub onnx_runtime_agreement: Option<f64>,
    /// How far the score may lie below float's; `None`: not a float model, or no limit.
    pub max_loss: Option<f64>,
    /// Least percent of samples with float's top class.
    pub min_agreement: Option<f64>,
}

/// Limits of a QDQ model: its score may differ so much from ONNX Runtime's.
pub const QDQ_TOLERANCE_POINTS: f64 = 0.3;

const BASE: Case = Case {
    name: "",
    form: Form::Float,
    target: "stm32f411",
    set: "",
    mean_std: None,
    codes: false,
    metric: Metric::Accuracy,
    onnx_runtime: None,
    onnx_runtime_agreement: None,
    max_loss: None,
    min_agreement: None,
};

const fn float(case: Case, max_loss: f64, min_agreement: Option<f64>) -> Case {
    Case { max_loss: Some(max_loss), min_agreement, ..case }
}

const fn ort(case: Case) -> Case {
    Case { form: Form::QdqOrt, ..case }
}

const fn tflite(case: Case, codes: bool, onnx_runtime: Option<f64>) -> Case {
    Case { form: Form::QdqTflite, mean_std: None, codes, onnx_runtime, onnx_runtime_agreement: None, ..case }
}

const MNIST: Case = Case {
    name: "mnist_cnn",
    set: "mnist",
    mean_std: Some(("0", "255")),
    onnx_runtime: Some(98.29),
    onnx_runtime_agreement: Some(99.88),
    ..BASE
};
const HAR: Case = Case {
    name: "har_mlp",
    set: "har",
    onnx_runtime: Some(93.89),
    onnx_runtime_agreement: Some(99.33),
    ..BASE
};
const CNN1D: Case = Case {
    name: "har_cnn1d",
    set: "har_raw",
    onnx_runtime: Some(93.19),
    onnx_runtime_agreement: Some(99.73),
    ..BASE
};
const KWS: Case = Case {
    name: "kws_dscnn",
    set: "kws",
    mean_std: Some(("83", "1.7102690")),
    onnx_runtime: Some(91.25),
    onnx_runtime_agreement: Some(98.07),
    ..BASE
};
const IC: Case = Case {
    name: "ic_resnet8",
    set: "ic",
    onnx_runtime: Some(87.06),
    onnx_runtime_agreement: Some(97.72),
    ..BASE
};
const VWW: Case = Case {
    name: "vww_mobilenet025",
    set: "vww",
    mean_std: Some(("0", "255")),
    onnx_runtime: Some(83.98),
    onnx_runtime_agreement: Some(98.18),
    ..BASE
};
const AD: Case =
    Case { name: "ad_autoencoder", set: "ad", metric: Metric::Mse, onnx_runtime: Some(0.8979), ..BASE };
const CIFAR: Case = Case {
    name: "cifar_mobilenetv2_035",
    target: "stm32f746",
    set: "ic",
    mean_std: Some(("125.3,123.0,113.9", "63.0,62.1,66.7")),
    onnx_runtime: Some(61.72),
    ..BASE
};

/// Every model that must compile.
pub const CASES: [Case; 22] = [
    float(MNIST, 0.3, Some(99.5)),
    Case {
        name: "mnist_cnn_ft60sparse",
        onnx_runtime: Some(98.88),
        onnx_runtime_agreement: None,
        ..float(MNIST, 0.3, None)
    },
    float(HAR, 0.3, Some(99.0)),
    Case {
        name: "har_mlp_ft60sparse",
        onnx_runtime: Some(94.89),
        onnx_runtime_agreement: None,
        ..float(HAR, 0.3, None)
    },
    float(CNN1D, 0.3, Some(99.3)),
    float(KWS, 0.3, Some(97.5)),
    float(IC, 0.3, Some(97.2)),
    float(VWW, 0.8, Some(97.5)),
    float(AD, 0.005, None),
    CIFAR,
    ort(MNIST),
    ort(HAR),
    ort(CNN1D),
    ort(KWS),
    ort(IC),
    ort(VWW),
    ort(AD),
    ort(CIFAR),
    tflite(KWS, true, Some(90.11)),
    tflite(IC, true, Some(87.02)),
    tflite(VWW, true, Some(84.77)),
    tflite(AD, false, Some(0.8516)),
];

/// The models that must be refused with a list of all their unsupported nodes.
pub const REFUSED: [(&str, Form); 4] = [
    ("har_gru", Form::Float),
    ("har_lstm", Form::Float),
    ("har_transformer", Form::Float),
    ("har_transformer", Form::QdqOrt),
];

/// The file of a model.
pub fn model_path(models: &Path, name: &str, form: Form) -> PathBuf {
    match form {
        Form::Float => models.join("float").join(format!("{name}.onnx")),
        Form::QdqOrt => models.join("qdq_ort").join(format!("{name}_ort_minmax.onnx")),
        Form::QdqTflite => models.join("qdq_from_tflite").join(format!("{name}_int8_qdq.onnx")),
    }
}

impl Case {
    /// Its file.
    pub fn path(&self, models: &Path) -> PathBuf {
        model_path(models, self.name, self.form)
    }

    /// How it is validated; `scratch` takes data that has to be rearranged first.
    ///
    /// # Panics
    /// If data cannot be read or rearranged: message names the file.
    pub fn options(&self, data: &Path, scratch: &Path) -> ValidateOptions {
        let test = match self.set {
            "ad" => "ad_test_windows.npz".to_owned(),
            set => format!("{set}_test.npz"),
        };
        let [calib, test] = [format!("{}_calib.npz", self.set), test].map(|file| {
            let path = data.join(&file);
            // The PyTorch model takes the channels first, the set has them last.
            if self.name.starts_with("cifar") { channels_first(&path, &scratch.join(file)) } else { path }
        });
        let target = Target::lookup(self.target).expect("a target of the list");
        let (mean, std) = self.mean_std.unzip();
        let preprocess = Preprocess::from_options(mean, std, self.codes).expect("constants of the table");
        // The kernels of the target, as a build takes them.
        let options = ValidateOptions::new(target, &test);
        let compile = CompileOptions { calib: Some(calib), preprocess, ..options.compile.clone() };
        ValidateOptions { compile, metric: Some(self.metric), ..options }
    }
}

/// Copies `x` [N,H,W,C] of an .npz as [N,C,H,W], `y` as it is.
fn channels_first(from: &Path, to: &Path) -> PathBuf {
    let name = from.display();
    let file = std::fs::File::open(from).unwrap_or_else(|e| panic!("cannot open {name}: {e}"));
    let mut npz = NpzReader::new(file).unwrap_or_else(|e| panic!("{name}: {e}"));
    let x: Array4<u8> = npz.by_name("x").unwrap_or_else(|e| panic!("x of {name}: {e}"));
    let y: Option<Array1<u8>> = npz.by_name("y").ok();
    let x = x.permuted_axes([0, 3, 1, 2]).as_standard_layout().into_owned();
    // Beside its final place first: another thread may be making the same file.
    let part =
        tempfile::NamedTempFile::new_in(to.parent().unwrap_or(Path::new("."))).expect("scratch folder");
    let mut out = NpzWriter::new(part.as_file());
    out.add_array("x", &x).expect("scratch file");
    if let Some(y) = y {
        out.add_array("y", &y).expect("scratch file");
    }
    out.finish().expect("scratch file");
    part.persist(to).expect("scratch file");
    to.to_path_buf()
}
