#include "support/fault_server.hpp"

#include <curl/curl.h>

#include <catch2/catch_test_macros.hpp>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "curl_client.hpp"
#include "support/fault_ports.hpp"

namespace fault_server_test {

namespace faults = backstop::faults;
using faults::anthropic_text;
using faults::Client;
using faults::data_of;
using faults::FaultServer;
using faults::openai_text;
using faults::responses_text;
using faults::Wire;
using nlohmann::json;
using namespace std::chrono_literals;

TEST_CASE("a healthy server answers plainly on every wire, over one connection") {
  FaultServer server;
  Client client;
  server.always(faults::answer("Good morning."));

  const auto openai = client.ask(server, Wire::openai, false);
  CHECK(openai.code == CURLE_OK);
  CHECK(openai.status == 200);
  CHECK(openai.parsed()["choices"][0]["message"]["content"] == "Good morning.");
  CHECK(openai.parsed()["choices"][0]["finish_reason"] == "stop");
  CHECK(openai.parsed()["usage"]["completion_tokens"] == 2);
  CHECK(openai.parsed()["model"] == "asked-model");

  const auto anthropic = client.ask(server, Wire::anthropic, false);
  CHECK(anthropic.parsed()["content"][0]["text"] == "Good morning.");
  CHECK(anthropic.parsed()["stop_reason"] == "end_turn");
  CHECK(anthropic.parsed()["usage"]["input_tokens"] == 12);

  const auto responses = client.ask(server, Wire::responses, false);
  CHECK(responses.parsed()["output"][0]["content"][0]["text"] == "Good morning.");
  CHECK(responses.parsed()["status"] == "completed");
  CHECK(responses.parsed()["usage"]["output_tokens"] == 2);

  const auto gemini = client.ask(server, Wire::gemini, false);
  CHECK(gemini.parsed()["candidates"][0]["content"]["parts"][0]["text"] == "Good morning.");
  CHECK(gemini.parsed()["candidates"][0]["finishReason"] == "STOP");
  CHECK(gemini.parsed()["usageMetadata"]["candidatesTokenCount"] == 2);
  CHECK(gemini.parsed()["modelVersion"] == "asked-model");

  const auto cohere = client.ask(server, Wire::cohere, false);
  CHECK(cohere.parsed()["message"]["content"][0]["text"] == "Good morning.");
  CHECK(cohere.parsed()["finish_reason"] == "COMPLETE");
  CHECK(cohere.parsed()["usage"]["tokens"]["output_tokens"] == 2);

  const auto ollama = client.ask(server, Wire::ollama, false);
  CHECK(ollama.parsed()["message"]["content"] == "Good morning.");
  CHECK(ollama.parsed()["done_reason"] == "stop");
  CHECK(ollama.parsed()["eval_count"] == 2);
  CHECK(ollama.parsed()["model"] == "asked-model");

  const auto bedrock = client.ask(server, Wire::bedrock, false);
  CHECK(bedrock.parsed()["output"]["message"]["content"][0]["text"] == "Good morning.");
  CHECK(bedrock.parsed()["stopReason"] == "end_turn");
  CHECK(bedrock.parsed()["usage"]["outputTokens"] == 2);

  const auto invoke = client.ask(server, Wire::invoke, false);
  CHECK(invoke.parsed()["content"][0]["text"] == "Good morning.");
  CHECK(invoke.parsed()["model"] == "asked-model");

  CHECK(server.request_count() == faults::every_wire.size());
  CHECK(server.connection_count() == 1);
}

TEST_CASE("a healthy server streams on every wire, ends with the terminal marker, and keeps the connection") {
  FaultServer server;
  Client client;
  server.always(faults::answer("Good morning to you."));

  const auto openai = client.ask(server, Wire::openai, true);
  CHECK(openai.code == CURLE_OK);
  CHECK(openai_text(openai.body) == "Good morning to you.");
  CHECK(data_of(openai.body).back() == "[DONE]");
  CHECK(data_of(openai.body).size() == 1 + 4 + 1 + 1);

  const auto anthropic = client.ask(server, Wire::anthropic, true);
  CHECK(anthropic.code == CURLE_OK);
  CHECK(anthropic_text(anthropic.body) == "Good morning to you.");
  CHECK(json::parse(data_of(anthropic.body).back())["type"] == "message_stop");

  const auto responses = client.ask(server, Wire::responses, true);
  CHECK(responses.code == CURLE_OK);
  CHECK(responses_text(responses.body) == "Good morning to you.");
  CHECK(json::parse(data_of(responses.body).back())["type"] == "response.completed");

  const auto gemini = client.ask(server, Wire::gemini, true);
  CHECK(gemini.code == CURLE_OK);
  CHECK(faults::gemini_text(gemini.body) == "Good morning to you.");
  CHECK(gemini.body.ends_with("\r\n\r\n"));
  CHECK(json::parse(data_of(gemini.body).back())["candidates"][0]["finishReason"] == "STOP");

  const auto cohere = client.ask(server, Wire::cohere, true);
  CHECK(cohere.code == CURLE_OK);
  CHECK(faults::cohere_text(cohere.body) == "Good morning to you.");
  CHECK(data_of(cohere.body).back() == "[DONE]");
  CHECK(json::parse(data_of(cohere.body).end()[-2])["type"] == "message-end");

  const auto ollama = client.ask(server, Wire::ollama, true);
  CHECK(ollama.code == CURLE_OK);
  CHECK(faults::ollama_text(ollama.body) == "Good morning to you.");
  CHECK(ollama.head.find("application/x-ndjson") != std::string::npos);
  CHECK(json::parse(ollama.body.substr(ollama.body.rfind('\n', ollama.body.size() - 2)))["done"] == true);

  for (const Wire wire : {Wire::bedrock, Wire::invoke}) {
    const auto messages = client.ask(server, wire, true);
    CHECK(messages.code == CURLE_OK);
    CHECK(faults::bedrock_text(messages.body) == "Good morning to you.");
    CHECK(messages.head.find("application/vnd.amazon.eventstream") != std::string::npos);
  }
  CHECK(server.connection_count() == 1);
}

TEST_CASE("requests are recorded, the newest ones at least") {
  FaultServer server{{.keep_requests = 2}};
  Client client;
  client.ask(server, Wire::openai, false);
  client.ask(server, Wire::openai, true);
  client.ask(server, Wire::anthropic, false);

  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(server.request_count() == 3);
  CHECK(requests[0].wants_stream());
  CHECK(requests[0].wire() == Wire::openai);
  CHECK(requests[1].method == "POST");
  CHECK(requests[1].path == "/v1/messages");
  CHECK(requests[1].header("Content-Type") == "application/json");
  CHECK(requests[1].connection == 1);
  CHECK(json::parse(requests[1].body)["model"] == "asked-model");
}

TEST_CASE("an unknown path, a body that is no JSON and bytes that are no HTTP are refused") {
  FaultServer server;
  Client client;
  CHECK(client.post(server.base_url("/v1/embeddings"), "{}").status == 404);
  CHECK(client.post(server.base_url("/v1/messages"), "hello").status == 400);
  CURL* handle = client.prepare(server.base_url("/v1/messages"), "{}");
  curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, "PO ST");
  CHECK(client.finish(curl_easy_perform(handle)).status == 404);
  handle = client.prepare(server.base_url("/v1/messages"), "{}");
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> chunked{
      curl_slist_append(nullptr, "transfer-encoding: chunked"), &curl_slist_free_all};
  curl_easy_setopt(handle, CURLOPT_HTTPHEADER, chunked.get());
  CHECK(client.finish(curl_easy_perform(handle)).status == 400);
}

TEST_CASE("a large body is taken after 100 Continue") {
  FaultServer server;
  Client client;
  const json body{{"model", "m"}, {"filler", std::string(1'200'000, 'x')}};
  const auto answer = client.post(server.base_url("/v1/chat/completions"), body.dump());
  CHECK(answer.status == 200);
  CHECK(answer.head.starts_with("HTTP/1.1 100 Continue\r\n"));
  CHECK(server.requests().front().body.size() == body.dump().size());
}

TEST_CASE("hundreds of silent connections hold up nobody, and the server stops at once all the same") {
  FaultServer server;
  constexpr std::size_t silent = 300;
  for (std::size_t i = 0; i < silent; ++i) server.next(faults::silence());

  CURLM* multi = curl_multi_init();
  std::vector<std::unique_ptr<Client>> clients;
  for (std::size_t i = 0; i < silent; ++i) {
    clients.push_back(std::make_unique<Client>());
    curl_multi_add_handle(multi, clients.back()->prepare(server.base_url("/v1/chat/completions"), "{}"));
  }
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (server.request_count() < silent && std::chrono::steady_clock::now() < until) {
    int running = 0;
    curl_multi_perform(multi, &running);
    curl_multi_poll(multi, nullptr, 0, 1, nullptr);
  }
  REQUIRE(server.request_count() == silent);
  CHECK(server.open_connections() == silent);

  Client other;
  CHECK(other.ask(server, Wire::openai, true).code == CURLE_OK);

  const auto start = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - start < 500ms);
  CHECK(other.ask(server, Wire::openai, true).code == CURLE_COULDNT_CONNECT);

  for (auto& client : clients) curl_multi_remove_handle(multi, client->prepare("", ""));
  curl_multi_cleanup(multi);
}

TEST_CASE("a memoised behaviour tells plain from streamed") {
  FaultServer server;
  Client client;
  server.always(faults::memoised(faults::answer("one two")));
  for (int round = 0; round < 2; ++round) {
    CHECK(client.ask(server, Wire::openai, false).parsed()["choices"][0]["message"]["content"] == "one two");
    CHECK(openai_text(client.ask(server, Wire::openai, true).body) == "one two");
    CHECK(anthropic_text(client.ask(server, Wire::anthropic, true).body) == "one two");
  }
}

TEST_CASE("a behaviour that throws becomes status 500") {
  FaultServer server;
  Client client;
  server.next(faults::scripted(
      "mine", [](const faults::ReceivedRequest&) -> faults::Script { throw std::runtime_error{"out of ideas"}; }));
  const auto answer = client.ask(server, Wire::openai, false);
  CHECK(answer.status == 500);
  CHECK(answer.has("out of ideas"));
}

TEST_CASE("idle connections are dropped and clients come back") {
  FaultServer server;
  Client client;
  client.ask(server, Wire::openai, false);
  server.drop_idle_connections();
  CHECK(server.open_connections() == 0);
  CHECK(client.ask(server, Wire::openai, false).code == CURLE_OK);
  CHECK(server.connection_count() == 2);
}

TEST_CASE("a client that does not read holds the stream up, nothing is piled up in the server") {
  FaultServer server;
  constexpr std::size_t size = 64'000'000;  // more than the kernel's buffers hold
  server.next(faults::raw("HTTP/1.1 200 OK\r\n\r\n" + std::string(size, 'x')));

  Client client;
  CURLM* multi = curl_multi_init();
  CURL* handle = client.prepare(server.base_url("/v1/chat/completions"), R"({"stream":true})");
  curl_multi_add_handle(multi, handle);
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (client.so_far().body.empty() && std::chrono::steady_clock::now() < until) {
    int running = 0;
    curl_multi_perform(multi, &running);
    curl_multi_poll(multi, nullptr, 0, 1, nullptr);
  }
  CHECK(server.bytes_sent() < size);
  curl_multi_remove_handle(multi, handle);
  curl_multi_cleanup(multi);
  CHECK(server.wait_for_disconnect(5s));
}

TEST_CASE("a closed port refuses, a black hole neither takes nor refuses") {
  Client client;
  const faults::ClosedPort closed;
  CHECK(client.post(closed.base_url(), "{}").code == CURLE_COULDNT_CONNECT);

  const faults::BlackHole hole;
  CURL* handle = client.prepare(hole.base_url(), "{}");
  curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, 50L);
  CHECK(client.finish(curl_easy_perform(handle)).code == CURLE_OPERATION_TIMEDOUT);
}

TEST_CASE("a server waits for requests") {
  FaultServer server;
  CHECK_FALSE(server.wait_for_requests(1, 1ms));
  Client client;
  client.ask(server, Wire::openai, false);
  CHECK(server.wait_for_requests(1, 1ms));
}

}  // namespace fault_server_test
