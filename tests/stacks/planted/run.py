#!/usr/bin/env python3
"""Plants faults into a copy of the library and shows that the stack fuzzer finds them.

Each fault is a piece of source text and what stands in its place; when the library changes and a piece is no longer
found, the script says so: adapt the table. A fault counts as found when its check fails clearly more often than in the
copy without it.

Usage: run.py [--scratch FOLDER] [--cases N] [NAME ...]
"""

import argparse
import os
import pathlib
import re
import shutil
import subprocess
import sys
from typing import NamedTuple

ROOT = pathlib.Path(__file__).resolve().parents[3]


class Fault(NamedTuple):
    name: str
    file: str
    old: str
    new: str
    check: str  # that has to find it
    without: str = ""  # features switched off, so that the check is quiet without the fault


FAULTS = [
    Fault("permit-not-returned", "src/policies/bulkhead.cpp",
          "    auto result = co_await next().call(request, context);\n    permit.release(",
          "    auto result = co_await next().call(request, context);\n"
          "    if (!result && result.error().kind == ErrorKind::cancelled)\n"
          "      new ConcurrencyPermit{limit_, context.now(), context.deadline(), false};\n    permit.release(",
          "nothing-left"),
    Fault("two-endings", "src/call.cpp",
          "    sink->on_event(end);",
          "    sink->on_event(end);\n    if (!result && result.error().kind == ErrorKind::cancelled) sink->on_event(end);",
          "one-terminal-event"),
    Fault("row-not-written", "src/provider.cpp",
          "    attempt.sent = true;",
          "    attempt.sent = state.ledger.size() != 3;",
          "rows-equal-sends"),
    Fault("guard-not-asked", "src/provider.cpp",
          "  if (std::optional<Error> refusal = context.refusal_of_send(target_, request)) co_return std::move(*refusal);",
          "  if (!context.streaming()) {\n"
          "    if (std::optional<Error> refusal = context.refusal_of_send(target_, request)) co_return std::move(*refusal);\n"
          "  }",
          "spent-equals-rows"),
    Fault("deadline-ignored", "src/call.cpp",
          "    runtime.timers().arm(*this, context_.deadline());",
          "    runtime.timers().arm(*this, saturating_add(context_.deadline(), std::chrono::seconds{1}));",
          "deadline-held"),
    Fault("restart-not-told", "src/routing/stream_rescue.cpp",
          "    event.target = next;\n    context_->emit(event);",
          "    event.target = next;",
          "text-equals-deltas"),
    Fault("unfit-asked", "src/routing/candidate.cpp",
          "  if (std::optional<Error> misfit = unfit(target, request, needs)) return misfit;",
          "  if (std::optional<Error> misfit = unfit(target, request, needs); misfit && request.tools.empty()) return misfit;",
          "no-unfit-target-asked"),
    Fault("budget-not-settled", "src/policies/cost_cap.cpp",
          "    if (row != nullptr) send->reservation.settle(",
          "    if (row != nullptr && !row->outcome) send->reservation.settle(",
          "spent-equals-rows"),
    Fault("cap-not-looked-at", "src/policies/cost_cap.cpp",
          "      if (spent + quote.worst.cost > *options_.per_request) return",
          "      if (spent > *options_.per_request) return",
          "cap-holds"),
    Fault("secret-in-message", "src/provider.cpp",
          "    error.target = attempt.target;",
          "    error.target = attempt.target;\n"
          "    if (error.kind == ErrorKind::invalid_request) error.message += text_of(request.messages.front().parts);",
          "no-secret-in-error"),
    Fault("order-changed-by-nesting", "src/fallback_client.cpp",
          "  if (call_state.first_choice == nullptr) call_state.first_choice =",
          "  if (call_state.first_choice != nullptr && candidates.size() > 1) walk.come_back_to(walk.next()->index);\n"
          "  if (call_state.first_choice == nullptr) call_state.first_choice =",
          "nested-equals-flat"),
    Fault("timer-left", "src/call.cpp",
          "  disarm();\n  try {",
          "  disarm();\n"
          "  struct Left final : Timer {\n    void on_timer() noexcept override {}\n  };\n"
          "  if (state_.attempts_left == 0) state_.runtime->timers().arm(*new Left, TimePoint::max());\n  try {",
          "nothing-left"),
    Fault("on-done-lost", "src/call.cpp",
          "    callback = std::move(on_done);",
          "    if (root.result() || root.result().error().kind != ErrorKind::cancelled) callback = std::move(on_done);",
          "one-on-done"),
    Fault("explain-disagrees", "src/fallback_client.cpp",
          "    step.skipped = walk.obstacle_of(index, now);",
          "    if (index == 0) step.skipped = walk.obstacle_of(index, now);",
          "explain-agrees"),
    Fault("fallback-given-up", "src/routing/candidate.cpp",
          "    case FallbackRule::preferred:\n",
          "    case FallbackRule::preferred: return error.kind != ErrorKind::overloaded;\n",
          "answered-when-possible"),
]


def call(command, **options):
    return subprocess.run(command, check=True, stdout=subprocess.DEVNULL, **options)


def copy_tree(scratch):
    """The files of the work tree that git knows or would add; unchanged ones keep their time, so that little is built."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-co", "--exclude-standard"], check=True,
                            capture_output=True, text=True)
    for name in listed.stdout.splitlines():
        source, copy = ROOT / name, scratch / name
        if not source.is_file():
            continue
        if copy.exists() and copy.read_bytes() == source.read_bytes():
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)


def build(scratch):
    call(["cmake", "--build", scratch / "build", "--target", "backstop-tests", "-j1"])


def run(scratch, cases, without):
    """How often each check failed, and its first seed."""
    environment = dict(os.environ, BACKSTOP_STACKS_CASES=str(cases), BACKSTOP_STACKS_SHRINK="1")
    off = ",".join(filter(None, [environment.get("BACKSTOP_STACKS_WITHOUT", ""), without]))
    if off:
        environment["BACKSTOP_STACKS_WITHOUT"] = off
    ended = subprocess.run([scratch / "build/bin/backstop-tests", "random stacks keep the promises of their parts"],
                           env=environment, capture_output=True, text=True)
    found = re.findall(r"^([a-z-]+): (\d+) cases, first with seed (\d+)$", ended.stderr, re.MULTILINE)
    return {check: (int(count), int(seed)) for check, count, seed in found}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help="of faults; all unless given")
    parser.add_argument("--scratch", type=pathlib.Path, default=ROOT / "build/planted")
    parser.add_argument("--cases", type=int, default=20_000)
    arguments = parser.parse_args()
    scratch = arguments.scratch
    copy_tree(scratch)
    call(["cmake", "-S", scratch, "-B", scratch / "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
          "-DBACKSTOP_TEST_ROOMS=stacks", "-DBACKSTOP_BUILD_EXAMPLES=OFF"])
    build(scratch)

    usual = {}
    missed = 0
    for fault in FAULTS:
        if arguments.names and fault.name not in arguments.names:
            continue
        file = scratch / fault.file
        text = file.read_text()
        if text.count(fault.old) != 1:
            print(f"{fault.name:26} the text to replace is {text.count(fault.old)} times in {fault.file}: adapt the table")
            missed += 1
            continue
        if fault.without not in usual:
            usual[fault.without] = run(scratch, arguments.cases, fault.without)
        file.write_text(text.replace(fault.old, fault.new))
        try:
            build(scratch)
            found = run(scratch, arguments.cases, fault.without)
        finally:
            file.write_text(text)
        before = usual[fault.without].get(fault.check, (0, 0))[0]
        count, seed = found.get(fault.check, (0, 0))
        is_found = count > 3 * before + 2 or (before == 0 and count > 0)
        missed += not is_found
        others = ", ".join(sorted(check for check in found if check != fault.check and
                                  found[check][0] > 3 * usual[fault.without].get(check, (0, 0))[0] + 2))
        print(f"{fault.name:26} {fault.check:24} {'found' if is_found else 'MISSED':6} in {count} of {arguments.cases} "
              f"cases (without the fault in {before}), first with seed {seed}{'; also ' + others if others else ''}",
              flush=True)
    if not arguments.names:
        build(scratch)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
