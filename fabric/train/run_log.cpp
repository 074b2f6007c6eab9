#include "fabric/train/run_log.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace ufab {

namespace {

// Size of the leading lines whose number under `key` is at most `limit`; a line that cannot be read, a torn
// last one for example, ends them.
Result<std::uint64_t> kept_size(const std::string& path, const char* key, std::uint64_t limit) {
  auto text = read_text_file(path, std::size_t{1} << 30);
  if (!text && text.error().code == ErrorCode::not_found) return std::uint64_t{0};
  UFAB_TRY(text);
  std::uint64_t size = 0;
  for (std::size_t end = text->find('\n'); end != std::string::npos; end = text->find('\n', size)) {
    boost::system::error_code error;
    const auto line = boost::json::parse(boost::json::string_view(text->data() + size, end - size), error);
    const auto* object = error ? nullptr : line.if_object();
    const auto* value = object == nullptr ? nullptr : object->if_contains(key);
    if (value == nullptr || !value->is_int64() || static_cast<std::uint64_t>(value->get_int64()) > limit)
      break;
    size = end + 1;
  }
  return size;
}

Result<AppendFile> open_cut(const std::string& path, const char* key, std::uint64_t limit) {
  UFAB_ASSIGN(const std::uint64_t size, kept_size(path, key, limit));
  UFAB_ASSIGN(AppendFile file, AppendFile::open(path));
  if (file.size() != size) UFAB_TRY(file.truncate(size));
  return file;
}

}  // namespace

Result<RunLog> RunLog::open(const std::string& folder, std::uint64_t resumed_step) {
  RunLog log;
  UFAB_ASSIGN(log.steps_, open_cut(folder + "/log.jsonl", "step", resumed_step));
  UFAB_ASSIGN(log.windows_, open_cut(folder + "/windows.jsonl", "end_step", resumed_step));
  return log;
}

Status RunLog::step(const StepLog& line) {
  const std::string eval = line.eval_loss ? fmt::format(R"("eval_loss":{:.6f},)", *line.eval_loss) : "";
  const std::string redone = line.redone > 0 ? fmt::format(R"(,"redone":{})", line.redone) : "";
  const double rate = line.wall_ms > 0 ? static_cast<double>(line.tokens) / line.wall_ms * 1000 : 0;
  return steps_.append(as_bytes(fmt::format(
      R"({{"schema":"ufab.train.step/1","step":{},"loss":{:.6f},{}"lr":{:.9g},"grad_norm":{:.6g},"tokens":{},)"
      R"("tokens_per_s":{:.1f},"wall_ms":{:.3f}{}}})"
      "\n",
      line.step, line.loss, eval, line.learning_rate, line.grad_norm, line.tokens, rate, line.wall_ms,
      redone)));
}

Status RunLog::window(const WindowClaim& claim) {
  UFAB_TRY(windows_.append(as_bytes(window_claim_json(claim) + "\n")));
  return windows_.sync();
}

}  // namespace ufab
