//! Placeholder of the runtime.
#![no_std]
#![allow(missing_docs)]
pub mod requant {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Out {
        pub zero_point: i32,
        pub lo: i32,
        pub hi: i32,
    }
}
pub mod kernels {
    use super::requant::Out;
    macro_rules! k { ($n:ident { $($f:ident : $t:ty),* }) => { pub mod $n { #[allow(unused)] use super::Out; #[derive(Debug, Clone, Copy, PartialEq, Eq)] pub struct Params { $(pub $f: $t),* } pub const fn scratch_bytes(_p: &Params) -> usize { 0 } } } }
    k!(conv2d {
        in_h: usize,
        in_w: usize,
        in_c: usize,
        out_h: usize,
        out_w: usize,
        out_c: usize,
        kernel_h: usize,
        kernel_w: usize,
        stride_h: usize,
        stride_w: usize,
        pad_top: usize,
        pad_left: usize,
        dilation_h: usize,
        dilation_w: usize,
        groups: usize,
        pad_code: i8,
        shifts: bool,
        out: Out
    });
    k!(depthwise {
        in_h: usize,
        in_w: usize,
        in_c: usize,
        out_h: usize,
        out_w: usize,
        out_c: usize,
        kernel_h: usize,
        kernel_w: usize,
        stride_h: usize,
        stride_w: usize,
        pad_top: usize,
        pad_left: usize,
        dilation_h: usize,
        dilation_w: usize,
        multiplier: usize,
        pad_code: i8,
        shifts: bool,
        out: Out
    });
    k!(dense { rows: usize, in_features: usize, out_features: usize, shifts: bool, out: Out });
    k!(max_pool {
        in_h: usize,
        in_w: usize,
        in_c: usize,
        out_h: usize,
        out_w: usize,
        kernel_h: usize,
        kernel_w: usize,
        stride_h: usize,
        stride_w: usize,
        pad_top: usize,
        pad_left: usize,
        dilation_h: usize,
        dilation_w: usize,
        lo: i8,
        hi: i8
    });
    k!(avg_pool { in_h: usize });
    k!(add { a: usize });
    k!(mul { a: usize });
    k!(lut { len: usize });
    k!(softmax { n: usize });
    k!(copy { n: usize });
}
