#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "backstop/providers/openai.hpp"
#include "providers/openai_chat/dialect.hpp"
#include "providers/openai_chat/format.hpp"
#include "support/replayed_call.hpp"

namespace openai_dialects_test {

using namespace backstop;
using namespace backstop::detail;
using namespace backstop::testing_support;
using Json = nlohmann::json;

namespace {

/// A provider as its documentation has it, and the fields by which its requests differ from others'.
struct Example {
  std::string_view name;
  std::string_view base_url;
  std::string_view key_variable;  ///< empty: it needs no key
  std::string_view output_limit;
  std::string_view user;       ///< the field of the user's id; empty: none is sent
  std::string_view reasoning;  ///< the field of its own earlier reasoning; empty: none goes back
};

constexpr std::string_view old_limit = "max_tokens";
constexpr std::string_view new_limit = "max_completion_tokens";

const std::vector<Example> examples{
    // clang-format off
    {"openai", "https://api.openai.com/v1", "OPENAI_API_KEY", new_limit, "safety_identifier", ""},
    {"azure", "", "AZURE_OPENAI_API_KEY", new_limit, "user", ""},
    {"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", new_limit, "user", "reasoning"},
    {"mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", old_limit, "", ""},
    {"deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", old_limit, "", "reasoning_content"},
    {"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", old_limit, "user", ""},
    {"xai", "https://api.x.ai/v1", "XAI_API_KEY", new_limit, "user", ""},
    {"together", "https://api.together.xyz/v1", "TOGETHER_API_KEY", old_limit, "user", ""},
    {"fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", old_limit, "user", ""},
    {"cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", new_limit, "user", "reasoning"},
    {"perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", old_limit, "", ""},
    {"moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", old_limit, "user", ""},
    {"zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", old_limit, "", ""},
    {"qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", old_limit, "", ""},
    {"deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY", old_limit, "user", ""},
    {"nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY", old_limit, "", ""},
    {"sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY", old_limit, "user", ""},
    {"huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", old_limit, "user", ""},
    {"github", "https://models.github.ai/inference", "GITHUB_TOKEN", old_limit, "", ""},
    {"nebius", "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY", old_limit, "user", ""},
    {"novita", "https://api.novita.ai/openai", "NOVITA_API_KEY", old_limit, "user", ""},
    {"vercel", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY", old_limit, "user", ""},
    {"moonshot-cn", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY", old_limit, "user", ""},
    {"zhipu", "https://open.bigmodel.cn/api/paas/v4", "ZHIPU_API_KEY", old_limit, "", ""},
    {"qwen-cn", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", old_limit, "", ""},
    {"siliconflow", "https://api.siliconflow.com/v1", "SILICONFLOW_API_KEY", old_limit, "user", ""},
    {"siliconflow-cn", "https://api.siliconflow.cn/v1", "SILICONFLOW_CN_API_KEY", old_limit, "user", ""},
    {"volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY", old_limit, "", ""},
    {"stepfun", "https://api.stepfun.com/v1", "STEPFUN_API_KEY", old_limit, "", ""},
    {"modelscope", "https://api-inference.modelscope.cn/v1", "MODELSCOPE_API_KEY", old_limit, "", ""},
    {"xiaomi", "https://api.xiaomimimo.com/v1", "XIAOMI_API_KEY", old_limit, "", ""},
    {"cloudflare", "", "CLOUDFLARE_API_KEY", old_limit, "", ""},
    {"portkey", "https://api.portkey.ai/v1", "PORTKEY_API_KEY", old_limit, "user", ""},
    {"litellm", "http://localhost:4000/v1", "LITELLM_PROXY_API_KEY", old_limit, "user", ""},
    {"ollama", "http://localhost:11434", "", old_limit, "user", ""},
    {"lmstudio", "http://127.0.0.1:1234/v1", "", old_limit, "user", ""},
    {"llamacpp", "http://127.0.0.1:8080/v1", "", old_limit, "user", ""},
    {"vllm", "http://127.0.0.1:8000/v1", "", old_limit, "user", ""},
    // clang-format on
};

Endpoint endpoint_of(std::string_view provider, std::string_view model) {
  Endpoint endpoint;
  endpoint.target = Target{provider, model};
  endpoint.base_url = "http://host/v1";
  endpoint.api_key = "k";
  return endpoint;
}

HttpRequest encoded(std::string_view provider, const ChatRequest& request, bool stream = false,
                    std::string_view model = "m") {
  const KnownProvider* known = find_known_provider(provider);
  REQUIRE(known != nullptr);
  const OpenAiChat format{known->dialect};
  const Endpoint endpoint = endpoint_of(provider, model);
  const FittedRequest fitted{request, format.limits(request, endpoint.target)};
  const Result<HttpRequest> http = format.encode(fitted.request(), endpoint, stream);
  REQUIRE(http);
  return *http;
}

Json body_of(std::string_view provider, const ChatRequest& request, bool stream = false, std::string_view model = "m") {
  return Json::parse(encoded(provider, request, stream, model).body);
}

}  // namespace

TEST_CASE("every known provider is reached at its address with the key of its variable") {
  for (const Example& example : examples) {
    CAPTURE(example.name);
    const KnownProvider* known = find_known_provider(example.name);
    REQUIRE(known != nullptr);
    CHECK(known->defaults.name == example.name);
    CHECK(known->defaults.base_url == example.base_url);
    CHECK(known->defaults.key_variable == example.key_variable);
    // LiteLLM's proxy needs none unless it is told to.
    CHECK(known->defaults.needs_key == (!example.key_variable.empty() && example.name != "litellm"));
  }
  CHECK(find_known_provider("somebody") == nullptr);
}

TEST_CASE("providers are found by the other names that are in use for them") {
  struct Name {
    std::string_view other;
    std::string_view name;
  };
  for (const Name& row : {Name{"moonshotai", "moonshot"}, Name{"togetherai", "together"}, Name{"alibaba", "qwen"},
                          Name{"dashscope", "qwen"}, Name{"fireworks-ai", "fireworks"}, Name{"zhipuai", "zhipu"},
                          Name{"hf", "huggingface"}, Name{"grok", "xai"}, Name{"moonshotai-cn", "moonshot-cn"},
                          Name{"alibaba-cn", "qwen-cn"}, Name{"doubao", "volcengine"},
                          Name{"cloudflare-workers-ai", "cloudflare"}}) {
    CAPTURE(row.other);
    const KnownProvider* known = find_known_provider(row.other);
    REQUIRE(known != nullptr);
    CHECK(known->defaults.name == row.name);
  }
}

TEST_CASE("a provider's further address has its limits, and its codes of errors mean the same") {
  const auto failure_at = [](std::string_view name) {
    ReplayedAnswer answer;
    answer.status = 400;
    answer.body = R"({"error":{"code":"1113","message":"no"}})";
    return call_with(*known_provider(name, {.model = "m", .api_key = "k"}), "Hi", answer, false).result.error().kind;
  };
  CHECK(failure_at("zai") == ErrorKind::quota_exhausted);
  CHECK(failure_at("zhipu") == ErrorKind::quota_exhausted);
  CHECK(failure_at("openrouter") == ErrorKind::invalid_request);
  ChatRequest request{"Hi"};
  request.temperature = 1.5;
  CHECK(body_of("moonshot-cn", request)["temperature"] == 1.0);
}

TEST_CASE("the page and the header name every known provider") {
  for (const char* file : {"src/providers/README.md", "include/backstop/providers/openai.hpp"}) {
    CAPTURE(file);
    std::ifstream input{std::filesystem::path{BACKSTOP_SOURCE_DIR} / file};
    std::string text{std::istreambuf_iterator<char>{input}, {}};
    std::replace(text.begin(), text.end(), '\n', ' ');
    for (const Example& example : examples) {
      CAPTURE(example.name);
      const std::string name{example.name};
      CHECK((text.find(" " + name + ",") != std::string::npos || text.find(" " + name + " ") != std::string::npos ||
             text.find(" " + name + ".") != std::string::npos || text.find("`" + name + "`") != std::string::npos));
    }
  }
}

TEST_CASE("every known provider gets the fields that it knows") {
  for (const Example& example : examples) {
    CAPTURE(example.name);
    // Of the two generations of DeepSeek's models the newer one takes its reasoning back.
    const std::string_view model = example.name == "deepseek" ? "deepseek-v4-pro" : "m";
    ChatRequest request{"Hi"};
    request.max_output_tokens = 100;
    request.metadata.user_id = "u1";
    const Reasoning thought{"Hm.", "", "", Target{example.name, model}};
    request.messages.push_back(Message{Role::assistant, {thought, Text{"So."}}});
    const Json body = body_of(example.name, request, false, model);
    for (const std::string_view field : {old_limit, new_limit}) {
      CHECK(body.contains(field) == (field == example.output_limit));
    }
    for (const std::string_view field : {"user", "safety_identifier"}) {
      CHECK(body.contains(field) == (field == example.user));
    }
    for (const std::string_view field : {"reasoning", "reasoning_content"}) {
      CHECK(body["messages"][1].contains(field) == (field == example.reasoning));
    }
  }
}

TEST_CASE("what only one known provider does, no other does") {
  for (const Example& example : examples) {
    CAPTURE(example.name);
    ChatRequest request{"Hi"};
    request.metadata.session_id = "s1";
    request.reasoning_effort = "low";
    const Json body = body_of(example.name, request, true);
    CHECK(body.contains("stream_options") == (example.name != "mistral"));
    CHECK(body.contains("session_id") == (example.name == "openrouter"));
    CHECK(body.contains("reasoning_effort") == (example.name != "openrouter"));
    CHECK(body.contains("reasoning") == (example.name == "openrouter"));

    ChatRequest system{std::vector<Message>{Message::system("Be brief."), Message::user("Hi")}};
    const bool itself = example.name == "openai" || example.name == "azure";
    CHECK(body_of(example.name, system, false, "gpt-5")["messages"][0]["role"] == (itself ? "developer" : "system"));

    ChatRequest schema{"Hi"};
    schema.response_format =
        ResponseFormat{.type = ResponseFormat::Type::json_schema, .schema = R"({"type":"object"})"};
    const OpenAiChat wire{find_known_provider(example.name)->dialect};
    CHECK(wire.encode(schema, endpoint_of(example.name, "m"), false).has_value() == (example.name != "deepseek"));

    const HttpRequest http = encoded(example.name, "Hi");
    const auto has = [&http](std::string_view name, std::string_view value) {
      return std::find(http.headers.begin(), http.headers.end(), Header{name, value}) != http.headers.end();
    };
    CHECK(has("api-key", "k") == (example.name == "azure"));
    CHECK(has("x-portkey-api-key", "k") == (example.name == "portkey"));
    CHECK(has("authorization", "Bearer k") == (example.name != "azure" && example.name != "portkey"));
    CHECK(has("x-litellm-num-retries", "0") == (example.name == "litellm"));
    CHECK(body.contains("disable_fallbacks") == (example.name == "litellm"));
    CHECK(body.contains("provider") == (example.name == "openrouter"));

    ChatRequest document{"Read."};
    document.messages[0].parts.emplace_back(Document{.url = "https://host/a.pdf"});
    CHECK(wire.encode(document, endpoint_of(example.name, "m"), false).has_value() == (example.name == "mistral"));
  }
}

TEST_CASE("Mistral is told that a last turn of the assistant's is to be gone on with, and no other is") {
  ChatRequest request{std::vector<Message>{Message::user("Count."), Message::assistant("One, two,")}};
  CHECK(body_of("mistral", request)["messages"][1] ==
        Json::parse(R"({"role": "assistant", "content": "One, two,", "prefix": true})"));
  CHECK_FALSE(body_of("openai", request)["messages"][1].contains("prefix"));
  request.messages.push_back(Message::user("Go on."));
  CHECK_FALSE(body_of("mistral", request)["messages"][1].contains("prefix"));
  request.messages.pop_back();
  request.messages.back().parts.emplace_back(ToolCall{"abc123XYZ", "clock", "{}"});
  CHECK_FALSE(body_of("mistral", request)["messages"][1].contains("prefix"));
}

TEST_CASE("what a model of Mistral's thought goes back to it in front of its text, and to no other model") {
  const auto turn_with = [](const Target& origin, std::vector<Part> rest) {
    std::vector<Part> parts{Reasoning{"Hm.", "", "", origin}};
    for (Part& part : rest) parts.push_back(std::move(part));
    ChatRequest request{std::vector<Message>{Message::user("Why?"), Message{Role::assistant, std::move(parts)},
                                             Message::user("And now?")}};
    return body_of("mistral", request)["messages"][1];
  };
  const Json thinking =
      Json::parse(R"({"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}], "closed": true})");
  CHECK(turn_with(Target{"mistral", "m"}, {Text{"So."}})["content"] ==
        Json::array({thinking, Json{{"type", "text"}, {"text", "So."}}}));
  CHECK(turn_with(Target{"mistral", "other"}, {Text{"So."}})["content"] == "So.");
  const Json with_call = turn_with(Target{"mistral", "m"}, {ToolCall{"abc123XYZ", "clock", "{}"}});
  CHECK(with_call["content"] == Json::array({thinking}));
  CHECK(with_call["tool_calls"].size() == 1);
}

TEST_CASE("models that reason are told from those made to chat, and those without a number") {
  ChatRequest request{"Hi"};
  request.temperature = 0.5;
  for (const char* model : {"o1", "o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5.6-sol", "org/gpt-5"}) {
    CAPTURE(model);
    CHECK_FALSE(body_of("openai", request, false, model).contains("temperature"));
  }
  for (const char* model : {"gpt-4o", "gpt-4.1", "gpt-5-chat-latest", "gpt-5.2-chat", "omni", "gpt-oss-120b", "m"}) {
    CAPTURE(model);
    CHECK(body_of("openai", request, false, model).contains("temperature"));
  }
  request.reasoning_effort = "none";
  CHECK_FALSE(body_of("openai", request, false, "gpt-5").contains("temperature"));
  CHECK(body_of("openai", request, false, "gpt-5.1").contains("temperature"));
}

}  // namespace openai_dialects_test
