#include "fabric/train/bridge_messages.h"

#include <fmt/format.h>

#include "fabric/base/codec.h"

namespace ufab {

namespace {

// Payload bytes; sums travel outside of frames. A report has eight a tensor: the bound allows for models of
// 600 layers (kernels/model.h has at most 256).
constexpr std::size_t kPayloadMax = std::size_t{1} << 16;
constexpr std::size_t kTextMax = 4096;

bool may_heal(ErrorCode code) {
  return code == ErrorCode::unavailable || code == ErrorCode::timeout;
}

Error decode_failure(ByteView bytes) {
  Reader reader(bytes);
  const bool again = reader.flag();
  std::string text = reader.text(kTextMax);
  if (const Status status = reader.finish("failure"); !status) return status.error();
  return {again ? ErrorCode::unavailable : ErrorCode::invalid, std::move(text)};
}

}  // namespace

Bytes encode_report(const StepReport& report) {
  Writer writer;
  writer.u64(report.step);
  writer.u32(report.attempt);
  writer.u8(static_cast<std::uint8_t>(report.non_finite | (report.stop << 1)));
  writer.u64(report.loss);
  writer.u32(static_cast<std::uint32_t>(report.peaks.size()));
  for (const std::uint64_t peak : report.peaks) writer.u64(peak);
  return writer.take();
}

Result<StepReport> decode_report(ByteView bytes) {
  Reader reader(bytes);
  StepReport report;
  report.step = reader.u64();
  report.attempt = reader.u32();
  const std::uint8_t flags = reader.u8();
  if (flags > 3) reader.fail("unknown flags");
  report.non_finite = (flags & 1) != 0;
  report.stop = (flags & 2) != 0;
  report.loss = reader.u64();
  const std::uint32_t tensors = reader.u32();
  if (tensors > kPayloadMax / sizeof(std::uint64_t)) reader.fail("too many tensors");
  for (std::uint32_t t = 0; t < tensors && !reader.failed(); ++t) report.peaks.push_back(reader.u64());
  UFAB_TRY(reader.finish("step report"));
  return report;
}

Bytes encode_hello(const BridgeHello& hello) {
  Writer writer;
  writer.text("ufab.bridge/2");
  writer.u64(hello.job);
  writer.u32(hello.attempt);
  writer.u32(hello.member);
  writer.raw(hello.definition.view());
  return writer.take();
}

Result<BridgeHello> decode_hello(ByteView bytes) {
  Reader reader(bytes);
  if (reader.text(64) != "ufab.bridge/2") reader.fail("not ufab.bridge/2");
  BridgeHello hello;
  hello.job = reader.u64();
  hello.attempt = reader.u32();
  hello.member = reader.u32();
  const ByteView digest = reader.raw(32);
  UFAB_TRY(reader.finish("hello"));
  hello.definition = Digest::from(digest);
  return hello;
}

Bytes encode_state(std::uint64_t step, const Digest& digest) {
  Writer writer;
  writer.u64(step);
  writer.raw(digest.view());
  return writer.take();
}

Frame failure_frame(std::uint64_t id, const Error& error) {
  Writer writer;
  writer.flag(may_heal(error.code));
  writer.text(error.message);
  return {kFailure, id, writer.take()};
}

Result<Bytes> expect_frame(Link& link, BridgeFrame type, std::uint64_t id, Deadline deadline) {
  UFAB_ASSIGN(Frame frame, link.recv(kPayloadMax, deadline));
  if (frame.type == kFailure) return decode_failure(frame.payload);
  if (frame.type != type || frame.id != id) {
    return Error{ErrorCode::invalid, fmt::format("expected message {} of exchange {}, got {} of {}",
                                                 static_cast<int>(type), id, frame.type, frame.id)};
  }
  return std::move(frame.payload);
}

}  // namespace ufab
