//! Gemm and MatMul with constant weights.

use super::{Agreement, Case, ModelBuilder};

pub(super) fn cases() -> Vec<Case> {
    let gemm = gemm().into_iter().map(|m| m.agrees(Agreement::Weights).case("Gemm"));
    let matmul = matmul().into_iter().map(|m| m.agrees(Agreement::Weights).case("MatMul"));
    gemm.chain(matmul).collect()
}

fn gemm() -> Vec<ModelBuilder> {
    let start = |name| ModelBuilder::new(name).input("x", &[1, 16]);
    vec![
        start("gemm_trans_b")
            .weight("w", &[8, 16])
            .weight("b", &[8])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 8]),
        start("gemm_plain").floats("w", &[16, 8], -0.5, 0.5).weight("b", &[8]).op("Gemm").output(&[1, 8]),
        start("gemm_alpha_beta")
            .weight("w", &[8, 16])
            .weight("b", &[8])
            .op("Gemm")
            .attr_float("alpha", 0.5)
            .attr_float("beta", 3.0)
            .attr_int("transB", 1)
            .output(&[1, 8]),
        start("gemm_no_c").weight("w", &[8, 16]).op("Gemm").attr_int("transB", 1).output(&[1, 8]),
        start("gemm_c_row")
            .weight("w", &[6, 16])
            .floats("b", &[1, 6], -0.5, 0.5)
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 6]),
        start("gemm_c_scalar")
            .weight("w", &[6, 16])
            .scalar("b", 0.75)
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 6]),
        start("gemm_beta_zero")
            .weight("w", &[6, 16])
            .weight("b", &[6])
            .op("Gemm")
            .attr_float("beta", 0.0)
            .attr_int("transB", 1)
            .output(&[1, 6]),
        start("gemm_one_output")
            .weight("w", &[1, 16])
            .weight("b", &[1])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 1]),
        ModelBuilder::new("gemm_odd_sizes")
            .input("x", &[1, 37])
            .weight("w", &[11, 37])
            .weight("b", &[11])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 11]),
        // Flatten before Gemm: the weight's order must follow the layout of the map.
        ModelBuilder::new("gemm_after_flatten")
            .input("x", &[1, 3, 4, 5])
            .op("Flatten")
            .weight("w", &[7, 60])
            .weight("b", &[7])
            .op("Gemm")
            .attr_int("transB", 1)
            .output(&[1, 7]),
    ]
}

fn matmul() -> Vec<ModelBuilder> {
    vec![
        ModelBuilder::new("matmul_rank_2")
            .input("x", &[1, 12])
            .floats("w", &[12, 5], -0.5, 0.5)
            .op("MatMul")
            .output(&[1, 5]),
        ModelBuilder::new("matmul_rank_3")
            .input("x", &[1, 6, 8])
            .floats("w", &[8, 4], -0.6, 0.6)
            .op("MatMul")
            .output(&[1, 6, 4]),
        ModelBuilder::new("matmul_rank_3_one_row")
            .input("x", &[1, 1, 10])
            .floats("w", &[10, 3], -0.5, 0.5)
            .op("MatMul")
            .output(&[1, 1, 3]),
        ModelBuilder::new("matmul_rank_4")
            .input("x", &[1, 2, 3, 8])
            .floats("w", &[8, 5], -0.6, 0.6)
            .op("MatMul")
            .output(&[1, 2, 3, 5]),
        ModelBuilder::new("matmul_add_bias")
            .input("x", &[1, 9])
            .floats("w", &[9, 6], -0.6, 0.6)
            .op("MatMul")
            .weight("b", &[6])
            .op("Add")
            .output(&[1, 6]),
        ModelBuilder::new("matmul_bias_first_operand")
            .input("x", &[1, 5, 8])
            .floats("w", &[8, 4], -0.6, 0.6)
            .op("MatMul")
            .weight("b", &[4])
            .swap()
            .op("Add")
            .output(&[1, 5, 4]),
    ]
}
