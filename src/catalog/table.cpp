#include "catalog/table.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace backstop::inline v0::detail {
namespace {

constexpr Rate none = unknown_rate;

// provider, model, context window, output limit, {input, output, cache read, cache write}, what it lacks,
// and where long requests cost more: from how many input tokens on, and how much.
constexpr std::array<CatalogRow, 97> rows{{
    // clang-format off
    {"alibaba", "qwen-plus", 1'000'000, 32'768, {400'000, 1'200'000}, no_vision | no_documents},
    {"alibaba", "qwen3-coder-plus", 1'048'576, 65'536, {1'000'000, 5'000'000}, no_vision | no_documents | no_reasoning},
    {"alibaba", "qwen3.6-flash", 1'000'000, 65'536, {187'500, 1'125'000, none, 234'375}, no_documents},
    {"alibaba", "qwen3.7-max", 1'000'000, 65'536, {2'500'000, 7'500'000, 500'000, 3'125'000}, no_vision | no_documents},
    {"alibaba", "qwen3.7-plus", 1'000'000, 65'536, {500'000, 3'000'000, 50'000, 625'000}, no_documents, 256'000, {2'000'000, 6'000'000, 200'000, 2'500'000}},
    {"amazon-bedrock", "amazon.nova-2-lite-v1:0", 1'000'000, 64'000, {300'000, 2'500'000, 75'000}, 0},
    {"amazon-bedrock", "amazon.nova-lite-v1:0", 300'000, 8'192, {60'000, 240'000, 15'000}, no_documents | no_reasoning},
    {"amazon-bedrock", "amazon.nova-micro-v1:0", 128'000, 8'192, {35'000, 140'000, 8'750}, no_vision | no_documents | no_reasoning},
    {"amazon-bedrock", "amazon.nova-pro-v1:0", 300'000, 8'192, {800'000, 3'200'000, 200'000}, no_documents | no_reasoning},
    {"amazon-bedrock", "global.anthropic.claude-opus-4-8", 1'000'000, 128'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, 0},
    {"amazon-bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", 200'000, 64'000, {3'000'000, 15'000'000, 300'000, 3'750'000}, 0},
    {"anthropic", "claude-fable-5", 1'000'000, 128'000, {10'000'000, 50'000'000, 1'000'000, 12'500'000}, 0},
    {"anthropic", "claude-haiku-4-5", 200'000, 64'000, {1'000'000, 5'000'000, 100'000, 1'250'000}, has_prefill},
    {"anthropic", "claude-opus-4-1", 200'000, 32'000, {15'000'000, 75'000'000, 1'500'000, 18'750'000}, has_prefill},
    {"anthropic", "claude-opus-4-5", 200'000, 64'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, has_prefill},
    {"anthropic", "claude-opus-4-6", 1'000'000, 128'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, 0},
    {"anthropic", "claude-opus-4-7", 1'000'000, 128'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, 0},
    {"anthropic", "claude-opus-4-8", 1'000'000, 128'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, 0},
    {"anthropic", "claude-opus-5", 1'000'000, 128'000, {5'000'000, 25'000'000, 500'000, 6'250'000}, 0},
    {"anthropic", "claude-sonnet-4-5", 200'000, 64'000, {3'000'000, 15'000'000, 300'000, 3'750'000}, has_prefill, 200'000, {6'000'000, 22'500'000, 600'000, 7'500'000}},
    {"anthropic", "claude-sonnet-4-6", 1'000'000, 64'000, {3'000'000, 15'000'000, 300'000, 3'750'000}, 0},
    {"anthropic", "claude-sonnet-5", 1'000'000, 128'000, {3'000'000, 15'000'000, 300'000, 3'750'000}, 0},
    {"cerebras", "gpt-oss-120b", 131'072, 40'960, {350'000, 750'000}, no_vision | no_documents},
    {"cerebras", "zai-glm-4.7", 131'072, 40'960, {2'250'000, 2'750'000, 0, 0}, no_vision | no_documents},
    {"cohere", "command-a-03-2025", 256'000, 8'000, {2'500'000, 10'000'000}, no_vision | no_documents | no_reasoning},
    {"cohere", "command-a-plus-05-2026", 128'000, 64'000, {2'500'000, 10'000'000}, no_documents},
    {"cohere", "command-a-reasoning-08-2025", 256'000, 32'000, {2'500'000, 10'000'000}, no_vision | no_documents},
    {"cohere", "command-r7b-12-2024", 128'000, 4'000, {37'500, 150'000}, no_vision | no_documents | no_reasoning},
    {"deepseek", "deepseek-chat", 1'000'000, 384'000, {140'000, 280'000, 2'800}, no_vision | no_documents | no_reasoning},
    {"deepseek", "deepseek-reasoner", 1'000'000, 384'000, {140'000, 280'000, 2'800}, no_vision | no_documents},
    {"deepseek", "deepseek-v4-flash", 1'000'000, 384'000, {140'000, 280'000, 2'800}, no_vision | no_documents},
    {"deepseek", "deepseek-v4-pro", 1'000'000, 384'000, {435'000, 870'000, 3'625}, no_vision | no_documents},
    {"google", "gemini-2.5-flash", 1'048'576, 65'536, {300'000, 2'500'000, 30'000}, 0},
    {"google", "gemini-2.5-flash-lite", 1'048'576, 65'536, {100'000, 400'000, 10'000}, 0},
    {"google", "gemini-2.5-pro", 1'048'576, 65'536, {1'250'000, 10'000'000, 125'000}, 0, 200'000, {2'500'000, 15'000'000, 250'000}},
    {"google", "gemini-3-flash-preview", 1'048'576, 65'536, {500'000, 3'000'000, 50'000}, 0},
    {"google", "gemini-3-pro-preview", 1'048'576, 65'536, {2'000'000, 12'000'000, 200'000}, 0, 200'000, {4'000'000, 18'000'000, 400'000}},
    {"google", "gemini-3.1-flash-lite", 1'048'576, 65'536, {250'000, 1'500'000, 25'000}, 0},
    {"google", "gemini-3.1-pro-preview", 1'048'576, 65'536, {2'000'000, 12'000'000, 200'000}, 0, 200'000, {4'000'000, 18'000'000, 400'000}},
    {"google", "gemini-3.5-flash", 1'048'576, 65'536, {1'500'000, 9'000'000, 150'000}, 0},
    {"google", "gemini-3.5-flash-lite", 1'000'000, 0, {300'000, 2'500'000, 30'000}, 0},
    {"google", "gemini-3.6-flash", 1'000'000, 0, {1'500'000, 7'500'000, 150'000}, 0},
    {"groq", "llama-3.1-8b-instant", 131'072, 131'072, {50'000, 80'000}, no_vision | no_documents | no_reasoning},
    {"groq", "llama-3.3-70b-versatile", 131'072, 32'768, {590'000, 790'000}, no_vision | no_documents | no_reasoning},
    {"groq", "openai/gpt-oss-120b", 131'072, 65'536, {150'000, 600'000, 75'000}, no_vision | no_documents},
    {"groq", "openai/gpt-oss-20b", 131'072, 65'536, {75'000, 300'000, 37'500}, no_vision | no_documents},
    {"groq", "qwen/qwen3-32b", 131'072, 40'960, {290'000, 590'000}, no_vision | no_documents},
    {"mistral", "codestral-latest", 256'000, 4'096, {300'000, 900'000}, no_vision | no_documents | no_reasoning},
    {"mistral", "devstral-2512", 262'144, 262'144, {400'000, 2'000'000}, no_vision | no_documents | no_reasoning},
    {"mistral", "magistral-medium-latest", 128'000, 16'384, {2'000'000, 5'000'000}, no_vision | no_documents},
    {"mistral", "ministral-8b-latest", 128'000, 128'000, {100'000, 100'000}, no_vision | no_documents | no_reasoning},
    {"mistral", "mistral-large-2512", 262'144, 262'144, {500'000, 1'500'000}, no_documents | no_reasoning},
    {"mistral", "mistral-medium-2508", 262'144, 262'144, {400'000, 2'000'000}, no_documents | no_reasoning},
    {"mistral", "mistral-medium-2604", 262'144, 262'144, {1'500'000, 7'500'000}, no_documents},
    {"mistral", "mistral-small-2603", 256'000, 256'000, {150'000, 600'000}, no_documents},
    {"moonshotai", "kimi-k2-thinking", 262'144, 262'144, {600'000, 2'500'000, 150'000}, no_vision | no_documents},
    {"moonshotai", "kimi-k2.6", 262'144, 262'144, {950'000, 4'000'000, 160'000}, no_documents},
    {"moonshotai", "kimi-k2.7-code", 262'144, 262'144, {950'000, 4'000'000, 190'000}, no_documents},
    {"openai", "gpt-4.1", 1'047'576, 32'768, {2'000'000, 8'000'000, 500'000}, no_reasoning},
    {"openai", "gpt-4.1-mini", 1'047'576, 32'768, {400'000, 1'600'000, 100'000}, no_reasoning},
    {"openai", "gpt-4.1-nano", 1'047'576, 32'768, {100'000, 400'000, 25'000}, no_documents | no_reasoning},
    {"openai", "gpt-4o", 128'000, 16'384, {2'500'000, 10'000'000, 1'250'000}, no_reasoning},
    {"openai", "gpt-4o-mini", 128'000, 16'384, {150'000, 600'000, 75'000}, no_reasoning},
    {"openai", "gpt-5", 400'000, 128'000, {1'250'000, 10'000'000, 125'000}, no_documents},
    {"openai", "gpt-5-mini", 400'000, 128'000, {250'000, 2'000'000, 25'000}, no_documents},
    {"openai", "gpt-5-nano", 400'000, 128'000, {50'000, 400'000, 5'000}, no_documents},
    {"openai", "gpt-5.1", 400'000, 128'000, {1'250'000, 10'000'000, 125'000}, no_documents},
    {"openai", "gpt-5.2", 400'000, 128'000, {1'750'000, 14'000'000, 175'000}, no_documents},
    {"openai", "gpt-5.3-codex", 400'000, 128'000, {1'750'000, 14'000'000, 175'000}, 0},
    {"openai", "gpt-5.4", 1'050'000, 128'000, {2'500'000, 15'000'000, 250'000}, 0, 272'000, {5'000'000, 22'500'000, 500'000}},
    {"openai", "gpt-5.4-mini", 400'000, 128'000, {750'000, 4'500'000, 75'000}, no_documents},
    {"openai", "gpt-5.4-nano", 400'000, 128'000, {200'000, 1'250'000, 20'000}, no_documents},
    {"openai", "gpt-5.5", 1'050'000, 128'000, {5'000'000, 30'000'000, 500'000}, 0, 272'000, {10'000'000, 45'000'000, 1'000'000}},
    {"openai", "gpt-5.5-pro", 1'050'000, 128'000, {30'000'000, 180'000'000}, 0, 272'000, {60'000'000, 270'000'000}},
    {"openai", "gpt-5.6-luna", 1'050'000, 0, {1'000'000, 6'000'000, 100'000, 1'250'000}, 0, 272'000, {2'000'000, 9'000'000, 200'000, 2'500'000}},
    {"openai", "gpt-5.6-sol", 1'050'000, 0, {5'000'000, 30'000'000, 500'000, 6'250'000}, 0, 272'000, {10'000'000, 45'000'000, 1'000'000, 12'500'000}},
    {"openai", "gpt-5.6-terra", 1'050'000, 0, {2'500'000, 15'000'000, 250'000, 3'125'000}, 0, 272'000, {5'000'000, 22'500'000, 500'000, 6'250'000}},
    {"openai", "o3", 200'000, 100'000, {2'000'000, 8'000'000, 500'000}, 0},
    {"openai", "o4-mini", 200'000, 100'000, {1'100'000, 4'400'000, 275'000}, no_documents},
    {"perplexity", "sonar", 128'000, 4'096, {1'000'000, 1'000'000}, no_tools | no_vision | no_documents | no_reasoning},
    {"perplexity", "sonar-deep-research", 128'000, 32'768, {2'000'000, 8'000'000}, no_tools | no_vision | no_documents},
    {"perplexity", "sonar-pro", 200'000, 8'192, {3'000'000, 15'000'000}, no_tools | no_documents | no_reasoning},
    {"perplexity", "sonar-reasoning-pro", 128'000, 4'096, {2'000'000, 8'000'000}, no_tools | no_documents},
    {"togetherai", "deepseek-ai/DeepSeek-V4-Pro", 512'000, 384'000, {1'740'000, 3'480'000, 200'000}, no_vision | no_documents},
    {"togetherai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", 131'072, 131'072, {880'000, 880'000}, no_vision | no_documents | no_reasoning},
    {"togetherai", "moonshotai/Kimi-K2.6", 262'144, 131'000, {1'200'000, 4'500'000, 200'000}, no_documents},
    {"togetherai", "openai/gpt-oss-120b", 131'072, 131'072, {150'000, 600'000}, no_vision | no_documents},
    {"xai", "grok-4.20-0309-non-reasoning", 1'000'000, 30'000, {1'250'000, 2'500'000, 200'000}, no_reasoning, 200'000, {2'500'000, 5'000'000, 400'000}},
    {"xai", "grok-4.20-0309-reasoning", 1'000'000, 30'000, {1'250'000, 2'500'000, 200'000}, 0, 200'000, {2'500'000, 5'000'000, 400'000}},
    {"xai", "grok-4.3", 1'000'000, 30'000, {1'250'000, 2'500'000, 200'000}, 0, 200'000, {2'500'000, 5'000'000, 400'000}},
    {"xai", "grok-4.5", 500'000, 0, {2'000'000, 6'000'000, 500'000}, 0},
    {"xai", "grok-build-0.1", 256'000, 256'000, {1'000'000, 2'000'000, 200'000}, 0, 200'000, {2'000'000, 4'000'000, 400'000}},
    {"zai", "glm-4.5-air", 131'072, 98'304, {200'000, 1'100'000, 30'000, 0}, no_vision | no_documents},
    {"zai", "glm-4.7", 204'800, 131'072, {600'000, 2'200'000, 110'000, 0}, no_vision | no_documents},
    {"zai", "glm-4.7-flash", 200'000, 131'072, {0, 0, 0, 0}, no_vision | no_documents},
    {"zai", "glm-5.1", 200'000, 131'072, {1'400'000, 4'400'000, 260'000, 0}, no_vision | no_documents},
    {"zai", "glm-5.2", 1'000'000, 131'072, {1'400'000, 4'400'000, 260'000, 0}, no_vision | no_documents},
    // clang-format on
}};

static_assert(std::is_sorted(rows.begin(), rows.end(), [](const CatalogRow& a, const CatalogRow& b) {
  return std::tie(a.provider, a.model) < std::tie(b.provider, b.model);
}));

}  // namespace

std::span<const CatalogRow> catalog_rows() noexcept { return rows; }

}  // namespace backstop::inline v0::detail
