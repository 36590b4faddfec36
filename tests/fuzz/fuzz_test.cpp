#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>

#include "fuzz/targets.hpp"

namespace fuzz_test {

using namespace backstop::fuzz;

namespace {

const std::filesystem::path corpus = std::filesystem::path{BACKSTOP_SOURCE_DIR} / "tests" / "fuzz" / "corpus";

std::vector<std::filesystem::path> files_of(std::string_view target) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator{corpus / target}) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

std::string content_of(const std::filesystem::path& file) {
  std::ifstream input{file, std::ios::binary};
  return {std::istreambuf_iterator<char>{input}, {}};
}

}  // namespace

TEST_CASE("what was found or written for each fuzz target holds") {
  for (const FuzzTarget& target : targets()) {
    const std::vector<std::filesystem::path> files = files_of(target.name);
    CHECK(files.size() >= 3);
    for (const std::filesystem::path& file : files) {
      CAPTURE(file.string());
      CHECK_NOTHROW(target.run(content_of(file)));
    }
  }
}

TEST_CASE("so does it for a few hundred changes of each, where there is no fuzzer") {
  for (const FuzzTarget& target : targets()) {
    std::mt19937_64 random{7};
    const std::vector<std::filesystem::path> files = files_of(target.name);
    for (int round = 0; round < 300; ++round) {
      std::string bytes = content_of(files[random() % files.size()]);
      for (std::size_t changes = 1 + random() % 4; changes > 0 && !bytes.empty(); --changes) {
        const std::size_t at = random() % bytes.size();
        switch (random() % 4) {
          case 0: bytes[at] = static_cast<char>(random()); break;
          case 1: bytes.erase(at, 1 + random() % 8); break;
          case 2: bytes.insert(at, bytes, random() % bytes.size(), 1 + random() % 16); break;
          default: bytes.resize(at); break;
        }
      }
      CAPTURE(target.name, bytes);
      CHECK_NOTHROW(target.run(bytes));
    }
  }
}

TEST_CASE("every folder of the corpus has a target, and every target a dictionary") {
  std::vector<std::string> folders;
  for (const auto& entry : std::filesystem::directory_iterator{corpus}) {
    folders.push_back(entry.path().filename().string());
  }
  std::sort(folders.begin(), folders.end());
  std::vector<std::string> names;
  for (const FuzzTarget& target : targets()) {
    names.emplace_back(target.name);
    CHECK(std::filesystem::exists(corpus.parent_path() / "dictionaries" / (names.back() + ".dict")));
  }
  CHECK(folders == names);
}

}  // namespace fuzz_test
