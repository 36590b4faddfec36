#include "dialect.hpp"

#include <array>

namespace backstop::inline v0::detail {
namespace {

using ReasoningField = OpenAiDialect::ReasoningField;
using User = OpenAiDialect::UserField;

// Those of the providers' references.
constexpr std::array openai_tiers{ServiceTier{"auto", "auto"}, ServiceTier{"default", "default"},
                                  ServiceTier{"flex", "flex"}, ServiceTier{"priority", "priority"},
                                  ServiceTier{"scale", "scale"}};
constexpr std::array azure_tiers{ServiceTier{"auto", "auto"}, ServiceTier{"default", "default"},
                                 ServiceTier{"priority", "priority"}};
constexpr std::array groq_tiers{ServiceTier{"auto", "auto"},           ServiceTier{"default", "on_demand"},
                                ServiceTier{"on_demand", "on_demand"}, ServiceTier{"flex", "flex"},
                                ServiceTier{"priority", "performance"}, ServiceTier{"performance", "performance"}};
constexpr std::array fireworks_tiers{ServiceTier{"priority", "priority"}};

constexpr OpenAiDialect openai_itself{
    .max_completion_tokens = true,
    .developer_role = true,
    .user = User::safety_identifier,
    .top_k = false,
    .service_tiers = openai_tiers,
    .stop_sequences = 4,
    .stop_refused = OpenAiDialect::StopRefused::by_reasoning_gpt};
constexpr OpenAiDialect azure{.max_completion_tokens = true,
                              .developer_role = true,
                              .user = User::user,
                              .key_header = "api-key",
                              .top_k = false,
                              .service_tiers = azure_tiers,
                              .stop_sequences = 4,
                              .stop_refused = OpenAiDialect::StopRefused::by_reasoning_gpt};
constexpr OpenAiDialect mistral{.stream_options = false,
                                .document_urls = true,
                                .plain_audio = true,
                                .prefix = true,
                                .reasoning = ReasoningField::thinking_part,
                                .user = User::none,
                                .seed = "random_seed",
                                .top_k = false,
                                .most_temperature = 1.5};
constexpr OpenAiDialect deepseek{.json_schema = false,
                                 .reasoning = ReasoningField::reasoning_content,
                                 .user = User::none,
                                 .top_k = false,
                                 .stop_sequences = 16};
constexpr OpenAiDialect openrouter{
    .effort_in_object = true, .session_id = true, .gateway = OpenAiDialect::GatewaySwitch::openrouter};
constexpr OpenAiDialect litellm{.gateway = OpenAiDialect::GatewaySwitch::litellm};
constexpr OpenAiDialect portkey{.key_header = "x-portkey-api-key"};
constexpr OpenAiDialect groq{.max_completion_tokens = true,
                             .reasoning = ReasoningField::reasoning,
                             .top_k = false,
                             .service_tiers = groq_tiers,
                             .stop_sequences = 4};
constexpr OpenAiDialect cerebras{
    .max_completion_tokens = true, .reasoning = ReasoningField::reasoning, .top_k = false};
constexpr OpenAiDialect xai{.max_completion_tokens = true,
                            .top_k = false,
                            .stop_refused = OpenAiDialect::StopRefused::by_reasoning_grok};
constexpr OpenAiDialect moonshot{.top_k = false, .most_temperature = 1, .stop_sequences = 5};
constexpr OpenAiDialect zai{.user = User::none, .top_k = false, .most_temperature = 1, .stop_sequences = 1};
constexpr OpenAiDialect fireworks{.service_tiers = fireworks_tiers};
constexpr OpenAiDialect plain{};
constexpr OpenAiDialect without_user{.user = User::none};

// Addresses and variables: the providers' documentation, models.dev, and of Volcengine LiteLLM.
constexpr std::array known{
    // clang-format off
    KnownProvider{{"openai", "https://api.openai.com/v1", "OPENAI_API_KEY"}, openai_itself},
    KnownProvider{{"azure", "", "AZURE_OPENAI_API_KEY"}, azure},
    KnownProvider{{"groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"}, groq},
    KnownProvider{{"mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"}, mistral},
    KnownProvider{{"deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY"}, deepseek},
    KnownProvider{{"openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"}, openrouter},
    KnownProvider{{"xai", "https://api.x.ai/v1", "XAI_API_KEY"}, xai},
    KnownProvider{{"together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"}, plain},
    KnownProvider{{"fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"}, fireworks},
    KnownProvider{{"cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"}, cerebras},
    KnownProvider{{"perplexity", "https://api.perplexity.ai", "PERPLEXITY_API_KEY"}, without_user},
    KnownProvider{{"moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY"}, moonshot},
    KnownProvider{{"moonshot-cn", "https://api.moonshot.cn/v1", "MOONSHOT_API_KEY"}, moonshot, "moonshot"},
    KnownProvider{{"zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"}, zai},
    KnownProvider{{"zhipu", "https://open.bigmodel.cn/api/paas/v4", "ZHIPU_API_KEY"}, zai, "zai"},
    KnownProvider{{"qwen", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"}, without_user},
    KnownProvider{{"qwen-cn", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"}, without_user, "qwen"},
    KnownProvider{{"deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"}, plain},
    KnownProvider{{"nvidia", "https://integrate.api.nvidia.com/v1", "NVIDIA_API_KEY"}, without_user},
    KnownProvider{{"sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"}, plain},
    KnownProvider{{"huggingface", "https://router.huggingface.co/v1", "HF_TOKEN"}, plain},
    KnownProvider{{"github", "https://models.github.ai/inference", "GITHUB_TOKEN"}, without_user},
    // Asks for headers that name the application: Copilot-Integration-Id, and Editor-Version with an editor's token.
    KnownProvider{{"copilot", "https://api.githubcopilot.com", "COPILOT_GITHUB_TOKEN"}, without_user},
    KnownProvider{{"nebius", "https://api.tokenfactory.nebius.com/v1", "NEBIUS_API_KEY"}, plain},
    KnownProvider{{"novita", "https://api.novita.ai/openai", "NOVITA_API_KEY"}, plain},
    KnownProvider{{"vercel", "https://ai-gateway.vercel.sh/v1", "AI_GATEWAY_API_KEY"}, plain},
    KnownProvider{{"portkey", "https://api.portkey.ai/v1", "PORTKEY_API_KEY"}, portkey},
    KnownProvider{{"litellm", "http://localhost:4000/v1", "LITELLM_PROXY_API_KEY", false}, litellm},
    KnownProvider{{"baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"}, plain},
    KnownProvider{{"siliconflow", "https://api.siliconflow.com/v1", "SILICONFLOW_API_KEY"}, plain},
    KnownProvider{{"siliconflow-cn", "https://api.siliconflow.cn/v1", "SILICONFLOW_CN_API_KEY"}, plain, "siliconflow"},
    KnownProvider{{"volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"}, without_user},
    KnownProvider{{"stepfun", "https://api.stepfun.com/v1", "STEPFUN_API_KEY"}, without_user},
    KnownProvider{{"modelscope", "https://api-inference.modelscope.cn/v1", "MODELSCOPE_API_KEY"}, without_user},
    KnownProvider{{"xiaomi", "https://api.xiaomimimo.com/v1", "XIAOMI_API_KEY"}, without_user},
    // The account is a part of its address: https://api.cloudflare.com/client/v4/accounts/ACCOUNT/ai/v1
    KnownProvider{{"cloudflare", "", "CLOUDFLARE_API_KEY"}, without_user},
    KnownProvider{{"upstage", "https://api.upstage.ai/v1/solar", "UPSTAGE_API_KEY"}, plain},
    KnownProvider{{"scaleway", "https://api.scaleway.ai/v1", "SCALEWAY_API_KEY"}, plain},
    KnownProvider{{"friendli", "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN"}, plain},
    KnownProvider{{"poe", "https://api.poe.com/v1", "POE_API_KEY"}, plain},
    KnownProvider{{"llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"}, plain},
    KnownProvider{{"ovhcloud", "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1", "OVHCLOUD_API_KEY"}, plain},
    KnownProvider{{"ollama-cloud", "https://ollama.com/v1", "OLLAMA_API_KEY"}, plain},
    KnownProvider{{"ollama", "http://localhost:11434", "", false}, plain},
    KnownProvider{{"lmstudio", "http://127.0.0.1:1234/v1", "", false}, plain},
    KnownProvider{{"llamacpp", "http://127.0.0.1:8080/v1", "", false}, plain},
    KnownProvider{{"vllm", "http://127.0.0.1:8000/v1", "", false}, plain},
    // clang-format on
};

struct OtherName {
  std::string_view other;
  std::string_view name;
};
constexpr std::array other_names{
    OtherName{"moonshotai", "moonshot"}, OtherName{"togetherai", "together"}, OtherName{"alibaba", "qwen"},
    OtherName{"dashscope", "qwen"},      OtherName{"fireworks-ai", "fireworks"}, OtherName{"zhipuai", "zhipu"},
    OtherName{"hf", "huggingface"},      OtherName{"grok", "xai"},
    OtherName{"moonshotai-cn", "moonshot-cn"}, OtherName{"alibaba-cn", "qwen-cn"}, OtherName{"doubao", "volcengine"},
    OtherName{"cloudflare-workers-ai", "cloudflare"}, OtherName{"github-copilot", "copilot"},
    OtherName{"github_copilot", "copilot"},
};

}  // namespace

const KnownProvider* find_known_provider(std::string_view name) noexcept {
  for (const OtherName& row : other_names) {
    if (row.other == name) name = row.name;
  }
  for (const KnownProvider& row : known) {
    if (row.defaults.name == name) return &row;
  }
  return nullptr;
}

}  // namespace backstop::inline v0::detail
