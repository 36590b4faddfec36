#include "support/temporary_file.hpp"

#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>

TemporaryFile::TemporaryFile(const std::string& content) {
  static std::atomic<int> count{0};
  const std::string name = "backstop-test-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  path_ = (std::filesystem::temp_directory_path() / name).string();
  std::ofstream{path_, std::ios::binary} << content;
}

TemporaryFile::~TemporaryFile() {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

std::string TemporaryFile::content() const {
  std::ostringstream text;
  text << std::ifstream{path_, std::ios::binary}.rdbuf();
  return text.str();
}
