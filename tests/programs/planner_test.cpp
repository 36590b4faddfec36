#include <catch2/catch_test_macros.hpp>

#include "support/run_program.hpp"

namespace planner_test {

#ifdef BACKSTOP_PLANNER_PROGRAM

TEST_CASE("the example of a planner sends the step that went wrong back up") {
  const ProgramRun run = run_program(BACKSTOP_PLANNER_PROGRAM, {});
  CHECK(run.status == 0);
  CHECK(run.err.empty());
  CHECK(run.out ==
        "How often does checkout fail?\n"
        "    fast/m calls error_rate {\"service\": \"checkout\"}\n"
        "    Checkout fails in 4 of 100 calls.\n"
        "What does payments complain of?\n"
        "    fast/m: the answer was not accepted: the arguments of its call of read_log do not match the schema: the "
        "value lacks the required property \"service\"\n"
        "    smart/m calls read_log {\"service\": \"payments\"}\n"
        "    Payments has no connection to its database left.\n"
        "What is to be done?\n"
        "    Give payments more connections.\n");
}

#endif

}  // namespace planner_test
