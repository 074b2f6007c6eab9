#include <tuple>

#include "kernels/tools/golden_cases.h"

namespace ufab::kernels {
namespace {

constexpr MatmulFormat kFormats[] = {MatmulFormat::f32, MatmulFormat::int12, MatmulFormat::int8};

struct Shape {
  int rows, in_width, out_width;
};
// One, primes, tile sizes and their neighbours, depth and columns beyond a block, and sizes that threads
// share by rows and by columns.
constexpr Shape kShapes[] = {{1, 1, 1},      {1, 17, 31},    {2, 3, 5},     {7, 16, 15},  {8, 48, 48},
                             {9, 49, 47},    {13, 385, 33},  {7, 769, 7},   {5, 800, 64}, {3, 130, 257},
                             {97, 130, 201}, {130, 33, 449}, {33, 49, 1601}};

void forward(Backend& backend, MatmulFormat format, const Shape& shape, float* out, const float* in,
             const float* weight, const float* bias) {
  backend.matmul_forward(out, in, weight, bias, shape.rows, shape.in_width, shape.out_width, format);
}
void backward_input(Backend& backend, MatmulFormat format, const Shape& shape, float* din, const float* dout,
                    const float* weight) {
  backend.matmul_backward_input(din, dout, weight, shape.rows, shape.in_width, shape.out_width, format);
}
void backward_weight(Backend& backend, MatmulFormat format, const Shape& shape, float* dweight,
                     const float* in, const float* dout, int dout_stride, bool accumulate) {
  backend.matmul_backward_weight(dweight, in, dout, shape.rows, shape.in_width, shape.out_width, dout_stride,
                                 accumulate, format);
}

void add_forward(GoldenCases& cases, MatmulFormat format, const Shape& shape, Values values, bool biased) {
  const std::string name = std::string("matmul_forward.") + format_name(format) + (biased ? ".bias." : ".");
  cases.push_back(
      {name + values_name(values), shape_text({shape.rows, shape.in_width, shape.out_width}),
       [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto in = inputs.floats(volume({shape.rows, shape.in_width}), values, 1, shape.in_width);
         const auto weight =
             inputs.floats(volume({shape.out_width, shape.in_width}), values, 1, shape.in_width);
         const auto bias = inputs.floats(volume({shape.out_width}), values);
         std::pmr::vector<float> out(volume({shape.rows, shape.out_width}));
         forward(backend, format, shape, out.data(), in.data(), weight.data(),
                 biased ? bias.data() : nullptr);
         backend.wait();
         results.numbers(out);
       }});
}

void add_backward_input(GoldenCases& cases, MatmulFormat format, const Shape& shape, Values values) {
  cases.push_back(
      {std::string("matmul_backward_input.") + format_name(format) + "." + values_name(values),
       shape_text({shape.rows, shape.in_width, shape.out_width}),
       [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const auto dout = inputs.floats(volume({shape.rows, shape.out_width}), values, 1, shape.out_width);
         const auto weight =
             inputs.floats(volume({shape.out_width, shape.in_width}), values, 1, shape.out_width);
         std::pmr::vector<float> din(volume({shape.rows, shape.in_width}));
         backward_input(backend, format, shape, din.data(), dout.data(), weight.data());
         backend.wait();
         results.numbers(din);
       }});
}

// With `accumulate`, of some columns of a wider dout.
void add_backward_weight(GoldenCases& cases, MatmulFormat format, const Shape& shape, Values values,
                         bool accumulate) {
  const std::string name =
      std::string("matmul_backward_weight.") + format_name(format) + (accumulate ? ".accumulate." : ".");
  cases.push_back(
      {name + values_name(values), shape_text({shape.rows, shape.in_width, shape.out_width}),
       [=](Backend& backend, Inputs& inputs, Checksum& results) {
         const int skipped = accumulate ? 3 : 0, stride = shape.out_width + skipped;
         const auto in = inputs.floats(volume({shape.rows, shape.in_width}), values, 1, shape.rows);
         const auto dout = inputs.floats(volume({shape.rows, stride}), values, 1, shape.rows);
         auto dweight = inputs.floats(volume({shape.out_width, shape.in_width}), values);
         backward_weight(backend, format, shape, dweight.data(), in.data(), dout.data() + skipped, stride,
                         accumulate);
         backend.wait();
         results.numbers(dweight);
       }});
}

void add_bias_backward(GoldenCases& cases, int rows, int width, Values values) {
  cases.push_back({std::string("bias_backward.") + values_name(values), shape_text({rows, width}),
                   [=](Backend& backend, Inputs& inputs, Checksum& results) {
                     const auto dout = inputs.floats(volume({rows, width}), values, 1, rows);
                     std::pmr::vector<float> dbias(volume({width}));
                     backend.bias_backward(dbias.data(), dout.data(), rows, width);
                     backend.wait();
                     results.numbers(dbias);
                   }});
}

}  // namespace

void add_matmul_cases(GoldenCases& cases) {
  for (const Values values : kAllValues) {
    for (MatmulFormat format : kFormats) {
      for (const Shape& shape : kShapes) {
        add_forward(cases, format, shape, values, false);
        add_forward(cases, format, shape, values, true);
        add_backward_input(cases, format, shape, values);
        add_backward_weight(cases, format, shape, values, false);
        add_backward_weight(cases, format, shape, values, true);
      }
    }
    for (const auto& [rows, width] : {std::pair{1, 1}, {7, 15}, {33, 64}, {64, 65}, {301, 700}}) {
      add_bias_backward(cases, rows, width, values);
    }
  }
  // As many results as keep a large device busy with the tiles that it makes of large products: of integers
  // 33 of 128 x 128, of binary32 132.
  for (const auto& [format, long_side, short_side, depth] : {std::tuple{MatmulFormat::f32, 1450, 1450, 40},
                                                             {MatmulFormat::int12, 770, 650, 300},
                                                             {MatmulFormat::int8, 770, 650, 300}}) {
    add_forward(cases, format, {long_side, depth, short_side}, Values::plain, true);
    add_backward_input(cases, format, {long_side, short_side, depth}, Values::plain);
    add_backward_weight(cases, format, {depth, short_side, long_side}, Values::plain, true);
  }
}

}  // namespace ufab::kernels
