// The table of the instruction set that this translation unit is compiled for; included last.
#pragma once

namespace ufab::kernels::UFAB_KERNELS_ISA {

static constexpr KernelTable kTable{
    .tile_rows = kTileRows,
    .tile_columns = kPanel,
    .matmul_scratch = kMatmulScratch,
    .matmul = matmul,
    .integer = {.panel_words = integer_panel_words, .pack = integer_pack, .multiply = integer_multiply},
    .bf16 = {.panel_words = bf16_panel_words, .pack = bf16_pack, .multiply = bf16_multiply},
    .column_sums = column_sums,
    .layernorm_forward = layernorm_forward,
    .layernorm_backward_input = layernorm_backward_input,
    .layernorm_backward_parameters = layernorm_backward_parameters,
    .rmsnorm_forward = rmsnorm_forward,
    .rmsnorm_backward_input = rmsnorm_backward_input,
    .rmsnorm_backward_parameters = rmsnorm_backward_parameters,
    .swiglu_forward = swiglu_forward,
    .swiglu_backward = swiglu_backward,
    .rope = rope,
    .gelu_forward = gelu_forward,
    .gelu_backward = gelu_backward,
    .add = add,
    .softmax_cross_entropy = softmax_cross_entropy,
    .attention_scratch = attention_scratch,
    .attention_forward = attention_forward,
    .attention_backward = attention_backward,
    .quantize_add = quantize_add,
    .sum_of_squares = sum_of_squares,
    .adamw = adamw,
};

}  // namespace ufab::kernels::UFAB_KERNELS_ISA
