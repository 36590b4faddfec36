#include "stacks/isolate.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/lsan_interface.h>
#endif

namespace stacks {
namespace {

constexpr char field_end = '\x1f';
constexpr char case_end = '\x1e';

/// What a child tells while it runs: which case it is at.
struct Progress {
  std::atomic<std::uint64_t> at{0};
};

/// Memory that parent and child share.
class Shared {
 public:
  Shared() : memory_{mmap(nullptr, sizeof(Progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)} {
    if (memory_ == MAP_FAILED) throw std::runtime_error{"no shared memory"};
    new (memory_) Progress;
  }
  ~Shared() { munmap(memory_, sizeof(Progress)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  [[nodiscard]] Progress& operator*() const noexcept { return *static_cast<Progress*>(memory_); }

 private:
  void* memory_;
};

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = write(fd, text.data(), text.size());
    if (written <= 0) _exit(3);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void child(std::uint64_t first, std::uint64_t end, const MakeCase& make, Progress& progress, int out,
                        int errors) {
  dup2(errors, STDERR_FILENO);
  for (const int number : {SIGSEGV, SIGABRT, SIGILL, SIGFPE, SIGBUS, SIGTERM}) {
    std::signal(number, SIG_DFL);  // the test framework would report a failure of its own
  }
  rlimit none{0, 0};
  setrlimit(RLIMIT_CORE, &none);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  rlimit memory{rlim_t{3} << 30U, rlim_t{3} << 30U};  // a loop that allocates is to fail soon
  setrlimit(RLIMIT_AS, &memory);
#endif
  for (std::uint64_t seed = first; seed < end; ++seed) {
    progress.at.store(seed);
    std::string line;
    for (const Violation& violation : violations_of(make(seed))) {
      line += violation.check + field_end + violation.detail + field_end;
    }
    if (!line.empty()) write_all(out, std::to_string(seed) + field_end + line + case_end);
  }
  progress.at.store(end);
#if defined(__SANITIZE_ADDRESS__)
  if (__lsan_do_recoverable_leak_check() != 0) abort();
#endif
  _exit(0);
}

/// Cuts what children have written into cases.
class Reader {
 public:
  explicit Reader(const OnFound& on_found) : on_found_{&on_found} {}

  void add(std::string_view bytes) {
    pending_ += bytes;
    for (std::size_t end = pending_.find(case_end); end != pending_.npos; end = pending_.find(case_end)) {
      tell(std::string_view{pending_}.substr(0, end));
      pending_.erase(0, end + 1);
    }
  }

 private:
  static std::string_view take(std::string_view& text) {
    const std::size_t end = text.find(field_end);
    const std::string_view field = text.substr(0, end);
    text.remove_prefix(std::min(text.size(), end + 1));
    return field;
  }
  void tell(std::string_view line) const {
    const std::uint64_t seed = std::stoull(std::string{take(line)});
    std::vector<Violation> violations;
    while (!line.empty()) {
      const std::string_view check = take(line);
      violations.push_back({std::string{check}, std::string{take(line)}});
    }
    (*on_found_)(seed, violations);
  }

  const OnFound* on_found_;
  std::string pending_;
};

std::string head_of(FILE* file) {
  std::string text(3000, '\0');
  rewind(file);
  text.resize(fread(text.data(), 1, text.size(), file));
  return text;
}

/// Plays seeds in one child; returns the seed to go on with.
std::uint64_t play_some(std::uint64_t first, std::uint64_t end, const MakeCase& make, const OnFound& on_found,
                        int patience_ms) {
  const Shared progress;
  (*progress).at.store(first);
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error{"no pipe"};
  FILE* errors = tmpfile();
  if (errors == nullptr) throw std::runtime_error{"no temporary file"};
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid < 0) throw std::runtime_error{"no child process"};
  if (pid == 0) {
    close(ends[0]);
    child(first, end, make, *progress, ends[1], fileno(errors));
  }
  close(ends[1]);

  Reader reader{on_found};
  bool hangs = false;
  std::uint64_t at = first;
  int waited_ms = 0;
  for (;;) {
    pollfd readable{ends[0], POLLIN, 0};
    constexpr int slice_ms = 100;
    const int ready = poll(&readable, 1, slice_ms);
    if (ready > 0) {
      char bytes[4096];
      const ssize_t got = read(ends[0], bytes, sizeof bytes);
      if (got <= 0) break;
      reader.add({bytes, static_cast<std::size_t>(got)});
      continue;
    }
    waited_ms = (*progress).at.load() == at ? waited_ms + slice_ms : 0;
    at = (*progress).at.load();
    if (waited_ms < patience_ms) continue;
    hangs = true;
    kill(pid, SIGKILL);
    break;
  }
  close(ends[0]);
  int status = 0;
  waitpid(pid, &status, 0);
  at = (*progress).at.load();
  const std::string said = head_of(errors);
  fclose(errors);
  if (hangs) {
    on_found(at, {{"no-hang", "the case does not end: it turns without time going on, or for ever"}});
    return at + 1;
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return end;
  const std::string how = WIFSIGNALED(status) ? "signal " + std::to_string(WTERMSIG(status))
                                              : "exit " + std::to_string(WEXITSTATUS(status));
  on_found(std::min(at, end - 1), {{"no-crash", how + (said.empty() ? "" : ": " + said)}});
  return at + 1;
}

}  // namespace

void play_all(std::uint64_t first, std::uint64_t count, const MakeCase& make, const OnFound& on_found) {
  constexpr std::uint64_t batch = 2000;  // so that what a child leaks does not pile up
  const std::uint64_t end = first + count;
  while (first < end) {
    const std::uint64_t batch_end = std::min(end, first + batch);
    first = play_some(first, batch_end, make, on_found, 8'000);
  }
}

std::vector<Violation> play_one(const Case& played, int patience_ms) {
  std::vector<Violation> found;
  play_some(
      0, 1, [&](std::uint64_t) { return played; },
      [&](std::uint64_t, const std::vector<Violation>& violations) { found = violations; }, patience_ms);
  return found;
}

}  // namespace stacks
