#include "fabric/model/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>

#include "tests/fabric/support/process.h"

namespace ufab::testing {
namespace {

void write_bytes(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

// A whole file of header and data, with a length in front that is right.
std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

std::string message_of(const Status& status) {
  return status.ok() ? "accepted" : status.error().message;
}

class SafetensorsTest : public ::testing::Test {
 protected:
  // The message with which a file of these bytes is refused.
  std::string refusal(std::string_view bytes) {
    write_bytes(path(), bytes);
    const auto file = SafetensorsFile::open(path());
    if (file.ok()) return "accepted";
    EXPECT_EQ(file.error().code, ErrorCode::invalid);
    EXPECT_EQ(file.error().exit_status(), 1);
    for (const char c : file.error().message)
      EXPECT_GE(static_cast<unsigned char>(c), 0x20) << file.error().message;
    EXPECT_TRUE(file.error().message.starts_with(path() + ": ")) << file.error().message;
    return file.error().message;
  }
  std::vector<float> read(const SafetensorsFile& file, std::size_t tensor) {
    std::vector<float> values(file.header().tensors[tensor].count());
    EXPECT_TRUE(file.read(file.header().tensors[tensor], 0, values).ok());
    return values;
  }
  std::string path() const { return folder_ / "weights.safetensors"; }
  TemporaryFolder folder_;
};

// Two tensors and a metadata entry, byte for byte.
const std::string kGolden =
    std::string("\x98\0\0\0\0\0\0\0", 8) +
    R"({"__metadata__":{"format":"pt"},"first":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
    R"("second":{"dtype":"F32","shape":[1,1],"data_offsets":[8,12]}})"
    "  " +
    std::string("\0\0\x80\x3f\0\0\0\xc0\0\0\0\x3f", 12);

TEST_F(SafetensorsTest, TheGoldenFileIsReadAndIsWhatIsWritten) {
  write_bytes(path(), kGolden);
  const auto file = SafetensorsFile::open(path());
  ASSERT_TRUE(file.ok()) << file.error().message;
  EXPECT_EQ(file->header().metadata, (SafetensorsMetadata{{"format", "pt"}}));
  ASSERT_EQ(file->header().tensors.size(), 2U);
  EXPECT_EQ(file->header().tensors[0], (SafetensorsTensor{"first", "F32", {2}, 0, 8}));
  EXPECT_EQ(file->header().tensors[1], (SafetensorsTensor{"second", "F32", {1, 1}, 8, 12}));
  EXPECT_EQ(read(*file, 0), (std::vector<float>{1, -2}));
  EXPECT_EQ(read(*file, 1), (std::vector<float>{0.5}));

  auto writer = SafetensorsWriter::create(folder_ / "written", {{"format", "pt"}},
                                          {{"first", "F32", {2}, 0, 0}, {"second", "F32", {1, 1}, 0, 0}});
  ASSERT_TRUE(writer.ok());
  EXPECT_TRUE(writer->append(std::vector<float>{1}).ok());
  EXPECT_TRUE(writer->append(std::vector<float>{-2, 0.5}).ok());
  EXPECT_TRUE(writer->finish().ok());
  EXPECT_EQ(as_text(*read_file(folder_ / "written", 1 << 20)), kGolden);
}

TEST_F(SafetensorsTest, AWriterThatDoesNotFinishLeavesNothing) {
  {
    auto writer = SafetensorsWriter::create(path(), {}, {{"a", "F32", {2}, 0, 0}});
    ASSERT_TRUE(writer.ok());
    EXPECT_TRUE(writer->append(std::vector<float>{1}).ok());
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  const auto refused = SafetensorsWriter::create(folder_ / "absent/a", {}, {{"a", "F32", {2}, 0, 0}});
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, folder_ / "absent/a: No such file or directory");
}

TEST_F(SafetensorsTest, WhatTheFormatAllowsIsRead) {
  const char* const headers[] = {
      "{}", "{} \n  ", R"({"__metadata__":{}})",
      R"({"empty":{"dtype":"F32","shape":[0,7],"data_offsets":[0,0]}})",
      R"({"b":{"data_offsets":[0,0],"shape":[3,0],"dtype":"I64"},"a":{"dtype":"BOOL","shape":[0],"data_offsets":[0,0]}})"};
  for (const char* header : headers) EXPECT_EQ(refusal(file_of(header, "")), "accepted") << header;
  // A number without dimensions; tensors in another order than their data; an escaped name.
  const std::string mixed =
      R"({"sca\u006car":{"dtype":"F32","shape":[],"data_offsets":[2,6]},"u":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})";
  EXPECT_EQ(refusal(file_of(mixed, std::string("\1\2\0\0\x80\x3f", 6))), "accepted");
  const auto file = SafetensorsFile::open(path());
  EXPECT_EQ(file->header().tensors[0].name, "u");
  EXPECT_FALSE(file->header().tensors[0].readable());
  EXPECT_EQ(file->header().tensors[1].name, "scalar");
  EXPECT_EQ(read(*file, 1), std::vector<float>{1});
}

// All 65,536 values of the 16-bit types, against arithmetic in binary64.
TEST_F(SafetensorsTest, HalvesAndBrainFloatsAreReadExactly) {
  std::string data;
  for (int copy = 0; copy < 2; ++copy) {
    for (unsigned bits = 0; bits < 65536; ++bits) {
      data += static_cast<char>(bits & 255U);
      data += static_cast<char>(bits >> 8);
    }
  }
  const std::string header = R"({"h":{"dtype":"F16","shape":[256,256],"data_offsets":[0,131072]},)"
                             R"("b":{"dtype":"BF16","shape":[65536],"data_offsets":[131072,262144]}})";
  ASSERT_EQ(refusal(file_of(header, data)), "accepted");
  const auto file = SafetensorsFile::open(path());
  const auto check = [&](std::size_t tensor, int exponent_bits, int fraction_bits) {
    const std::vector<float> values = read(*file, tensor);
    const int special = (1 << exponent_bits) - 1, bias = special / 2;
    for (int bits = 0; bits < 65536; ++bits) {
      const int exponent = bits >> fraction_bits & special, fraction = bits & ((1 << fraction_bits) - 1);
      const float value = values[static_cast<std::size_t>(bits)];
      ASSERT_EQ(std::signbit(value), bits >= 32768) << bits;
      if (exponent == special) {
        ASSERT_TRUE(fraction == 0 ? std::isinf(value) : std::isnan(value)) << bits;
        continue;
      }
      const double whole = exponent == 0 ? fraction : fraction + (1 << fraction_bits);
      const double magnitude = std::ldexp(whole, std::max(exponent, 1) - bias - fraction_bits);
      ASSERT_EQ(std::fabs(static_cast<double>(value)), magnitude) << bits;
    }
  };
  check(0, 5, 10);
  check(1, 8, 7);
  std::vector<float> part(3);
  ASSERT_TRUE(file->read(file->header().tensors[0], 0x3C00, part).ok());
  EXPECT_EQ(part, (std::vector<float>{1.0F, 1.0F + 0x1p-10F, 1.0F + 0x1p-9F}));
}

TEST_F(SafetensorsTest, EachBrokenHeaderIsOneLineThatSaysWhatIsWrong) {
  const auto tensor = [](const std::string& fields) { return R"({"w":{)" + fields + "}}"; };
  const std::string type = R"("dtype":"F32",)", shape = R"("shape":[2],)", place = R"("data_offsets":[0,8])";
  const struct {
    std::string header;
    const char* expected;
  } cases[] = {
      {"", "does not begin with '{'"},
      {" {}", "does not begin with '{'"},
      {"[]", "does not begin with '{'"},
      {"{", "not JSON in UTF-8"},
      {"{}{}", "more than one JSON object"},
      {"{\"w\xff\":1}", "not JSON in UTF-8"},
      {"{\"\xed\xa0\x80\":1}", "not JSON in UTF-8"},
      {std::string("{\"w\0\":1}", 8), "not JSON in UTF-8"},
      {R"({"w":1})", "a number where none belongs"},
      {R"({"w":"F32"})", "text where none belongs"},
      {R"({"w":null})", "null where none belongs"},
      {R"({"w":[0,8]})", "an array where none belongs"},
      {R"({"__metadata__":"pt"})", "text where none belongs"},
      {R"({"__metadata__":{"step":7}})", "a number where none belongs"},
      {R"({"__metadata__":{"a":{}}})", "an object where none belongs"},
      {R"({"__metadata__":{"a":"1","a":"2"}})", "'a' occurs twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "'__metadata__' occurs twice"},
      {tensor(""), "tensor 'w': dtype is missing"},
      {tensor(type + place), "tensor 'w': shape is missing"},
      {tensor(R"("dtype":"F32","shape":[2])"), "tensor 'w': data_offsets is missing"},
      {tensor(type + shape + R"("stride":[1])"), "tensor 'w': unknown field 'stride'"},
      {tensor(type + type + shape + place), "tensor 'w': 'dtype' occurs twice"},
      {R"({"w":{)" + type + shape + place + R"(},"w":{)" + type + shape + place + "}}", "'w' occurs twice"},
      {tensor(R"("dtype":["F32"],)" + shape + place), "tensor 'w': an array where none belongs"},
      {tensor(R"("dtype":"F31",)" + shape + place), "tensor 'w': unknown dtype 'F31'"},
      {tensor(type + R"("shape":2,)" + place), "tensor 'w': a number where none belongs"},
      {tensor(type + R"("shape":["2"],)" + place), "tensor 'w': text where none belongs"},
      {tensor(type + R"("shape":[[2]],)" + place), "tensor 'w': an array where none belongs"},
      {tensor(type + R"("shape":[-2],)" + place), "tensor 'w': a negative number"},
      {tensor(type + R"("shape":[2.0],)" + place), "tensor 'w': a number that is not whole"},
      {tensor(type + R"("shape":[1e999],)" + place), "w"},
      {tensor(type + R"("shape":[18446744073709551616],)" + place), "tensor 'w': a number that is not whole"},
      {tensor(type + R"("shape":[NaN],)" + place), "not JSON in UTF-8"},
      {tensor(type + R"("shape":[1,1,1,1,1,1,1,1,2],)" + place), "tensor 'w': more than 8 numbers in shape"},
      {tensor(type + R"("shape":[4611686018427387905],)" + place),
       "the shape [4611686018427387905] overflows"},
      {tensor(type + R"("shape":[9223372036854775808,9223372036854775808,0],)" + place), "overflows"},
      {tensor(type + R"("shape":[3],)" + place), "F32 of shape [3] takes 12 bytes, its data_offsets hold 8"},
      {tensor(R"("dtype":"BF16",)" + shape + place), "BF16 of shape [2] takes 4 bytes"},
      {tensor(type + shape + R"("data_offsets":[8,0])"), "data_offsets must be [begin, end]"},
      {tensor(type + shape + R"("data_offsets":[0])"), "data_offsets must be [begin, end]"},
      {tensor(type + shape + R"("data_offsets":[0,8,8])"), "data_offsets must be [begin, end]"},
      {tensor(type + shape + R"("data_offsets":[-8,0])"), "tensor 'w': a negative number"},
      {tensor(type + shape + R"("data_offsets":[NaN,8])"), "not JSON in UTF-8"},
      {tensor(type + shape + R"("data_offsets":[18446744073709551608,18446744073709551616])"), "not whole"},
      {tensor(type + shape + R"("data_offsets":[18446744073709551600,18446744073709551608])"),
       "leaving a gap"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", "begins at 4, leaving a gap"},
      {R"({"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "tensor 'w': its data begins at 4, inside the one before, which ends at 8"},
      {R"({"w":{"dtype":"F32","shape":[3],"data_offsets":[0,12]}})",
       "ends at 12, the file's data at 8: truncated"},
      {R"({"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})", "4 bytes behind the last tensor"},
      {"{}", "8 bytes behind the last tensor"},
      {R"({"a\nb":1})", "a number where none belongs"},
      {R"({"a\nb":{"dtype":"F32"}})", "tensor 'a?b': shape is missing"},
      {"{\"" + std::string(1025, 'n') + "\":{}}", "a name of 1025 bytes, at most 1024 are possible"},
  };
  for (const auto& test : cases) {
    const std::string message = refusal(file_of(test.header, std::string(8, '\0')));
    EXPECT_NE(message.find(test.expected), std::string::npos) << test.header << "\n" << message;
    EXPECT_LT(message.size(), path().size() + 300) << message;
  }
}

TEST_F(SafetensorsTest, LengthsThatLieAreRefusedBeforeAnyMemoryIsTaken) {
  const std::string largest(8, '\xff'), nan("\0\0\0\0\0\0\xf8\x7f", 8);
  EXPECT_NE(refusal("").find("0 bytes: too short"), std::string::npos);
  EXPECT_NE(refusal(std::string(7, '\0')).find("7 bytes: too short"), std::string::npos);
  EXPECT_NE(refusal(std::string(8, '\0')).find("does not begin with '{'"), std::string::npos);
  EXPECT_NE(refusal(largest + "{}").find("a header of 18446744073709551615 bytes, at most 100000000"),
            std::string::npos);
  EXPECT_NE(refusal(nan + "{}").find("at most 100000000"), std::string::npos);
  EXPECT_NE(refusal(std::string("\3\0\0\0\0\0\0\0{}", 10)).find("a header of 3 bytes in a file of 10"),
            std::string::npos);
  // One byte over the format's bound, in a file that has it; the bound itself is only too many spaces.
  write_bytes(path(), std::string("\x01\xe1\xf5\x05\0\0\0\0{}", 10));
  std::filesystem::resize_file(path(), 8 + kSafetensorsHeaderMax + 1);
  const auto over = SafetensorsFile::open(path());
  ASSERT_FALSE(over.ok());
  EXPECT_NE(over.error().message.find("a header of 100000001 bytes"), std::string::npos);
  const std::string spaces = "{}" + std::string(kSafetensorsHeaderMax - 2, ' ');
  EXPECT_TRUE(decode_safetensors_header(spaces, 0).ok());
}

TEST_F(SafetensorsTest, MoreTensorsThanTheBoundAreRefused) {
  std::string header = "{";
  for (std::size_t i = 0; i <= kSafetensorsTensorsMax; ++i) {
    header +=
        fmt::format(R"({}"{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", i == 0 ? "" : ",", i);
    if (i + 1 == kSafetensorsTensorsMax) {
      EXPECT_TRUE(decode_safetensors_header(header + "}", 0).ok());
    }
  }
  const auto refused = decode_safetensors_header(header + "}", 0);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message, "header: more than 65536 tensors");
}

TEST_F(SafetensorsTest, EveryTruncationOfAFileIsRefused) {
  for (std::size_t size = 0; size < kGolden.size(); ++size) {
    EXPECT_NE(refusal(std::string_view(kGolden).substr(0, size)), "accepted") << size;
  }
  EXPECT_NE(refusal(kGolden + "x").find("1 bytes behind"), std::string::npos);
}

TEST_F(SafetensorsTest, WhatIsNoFileIsOneLine) {
  const auto absent = SafetensorsFile::open(folder_ / "absent");
  EXPECT_EQ(absent.error().code, ErrorCode::not_found);
  const auto folder = SafetensorsFile::open(folder_.path());
  EXPECT_EQ(folder.error().message, folder_.path() + ": not a file");
  write_bytes(path(), kGolden);
  const auto file = SafetensorsFile::open(path());
  std::filesystem::resize_file(path(), kGolden.size() - 1);
  std::vector<float> value(1);
  EXPECT_NE(message_of(file->read(file->header().tensors[1], 0, value)).find("became shorter"),
            std::string::npos);
}

}  // namespace
}  // namespace ufab::testing
