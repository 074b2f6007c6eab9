#include "jobs/cli/sacct_source.h"

#include <array>
#include <cstdio>

#include "fabric/base/file.h"
#include "fabric/base/toml.h"

namespace ufab::jobs {

Result<SlurmSection> read_slurm_section(const Home& home) {
  SlurmSection section;
  const std::string path = home.file("config.toml");
  if (!file_exists(path)) return section;  // a chain alone, without a node
  UFAB_ASSIGN(const std::string text, read_text_file(path, 1 << 20));
  try {
    const toml::table table = toml::parse(text, path);
    const auto value = [&](const char* name) {
      return table["provider"]["slurm"][name].value_or(std::string());
    };
    section = {value("conf"), value("partition"), value("account"), value("telemetry")};
  } catch (const toml::parse_error& error) {
    return Error{ErrorCode::invalid, path + ": " + std::string(error.description())};
  } catch (const std::logic_error& error) {
    return Error{ErrorCode::invalid, path + ": " + error.what()};
  }
  return section;
}

Result<SacctCounts> read_sacct_file(const std::string& path, const SacctReader::Sink& sink) {
  std::FILE* file = path == "-" ? stdin : std::fopen(path.c_str(), "rb");
  if (file == nullptr) return Error{ErrorCode::not_found, path + ": cannot be opened"};
  SacctReader reader(sink);
  std::array<char, 1 << 16> buffer;
  Status status;
  while (status.ok()) {
    const std::size_t got = std::fread(buffer.data(), 1, buffer.size(), file);
    if (got == 0) break;
    status = reader.feed({buffer.data(), got});
  }
  if (status.ok() && std::ferror(file) != 0) status = Error{ErrorCode::io, path + ": cannot be read"};
  if (file != stdin) std::fclose(file);
  if (status.ok()) status = reader.finish();
  if (!status.ok()) return status.error().within(path);
  return reader.counts();
}

void warn_of_bad_lines(const char* what, std::uint64_t count, const std::string& first) {
  if (count == 0) return;
  std::fprintf(stderr, "ufab: %s: %llu lines that are none were passed over; the first: %s\n", what,
               static_cast<unsigned long long>(count), first.c_str());
}

}  // namespace ufab::jobs
