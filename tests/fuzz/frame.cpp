// Frames from a hostile peer: whatever arrives, Link::recv answers with a frame within its bound or an error,
// and a frame that it accepts is what the header's encoder would write.
#include <algorithm>
#include <cstddef>
#include <cstdlib>

#include "fabric/net/link.h"

namespace {

using namespace ufab;

class MemoryLink final : public Link {
 public:
  explicit MemoryLink(ByteView bytes) : bytes_(bytes) {}
  Status send_bytes(ByteView, Deadline) override { return {}; }
  Status recv_bytes(std::span<std::uint8_t> into, Deadline) override {
    if (closed_ || into.size() > bytes_.size())
      return Error{ErrorCode::unavailable, "the peer closed the link"};
    std::copy_n(bytes_.begin(), into.size(), into.begin());
    bytes_ = bytes_.subspan(into.size());
    return {};
  }
  std::optional<PublicKey> peer() const override { return std::nullopt; }
  std::string peer_address() const override { return "memory"; }
  void shutdown() override {}
  void interrupt() override { closed_ = true; }

 private:
  ByteView bytes_;
  bool closed_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t kMax = 64;
  const ByteView input(data, size);
  MemoryLink link(input);
  std::size_t position = 0;
  for (;;) {
    const auto frame = link.recv(kMax, {});
    if (!frame.ok()) return frame.error().message.empty() ? std::abort(), 1 : 0;
    if (frame->payload.size() > kMax) std::abort();
    const auto header =
        encode_frame_header({frame->type, frame->id, static_cast<std::uint32_t>(frame->payload.size())});
    if (!std::equal(header.begin(), header.end(), input.begin() + static_cast<std::ptrdiff_t>(position))) {
      std::abort();
    }
    position += header.size() + frame->payload.size();
  }
}
