import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeDeps, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load, rmdir

required_conan_version = ">=2.3"


class BackstopConan(ConanFile):
    name = "backstop"
    description = "Keeps an application's LLM calls working when providers fail"
    license = "MIT"
    topics = ("llm", "fallback", "resilience", "retry", "circuit-breaker")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {"shared": [True, False], "fPIC": [True, False], "with_json_schema_validator": [True, False],
               "with_openssl": [True, False]}
    default_options = {"shared": False, "fPIC": True, "with_json_schema_validator": False, "with_openssl": False}
    implements = ["auto_shared_fpic"]
    exports_sources = "CMakeLists.txt", "cmake/*", "include/*", "src/*", "LICENSE", "README.md"
    test_package_folder = "tests/consumer"

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "include", "backstop", "version.hpp"))
        self.version = re.search(r'string_view version = "([^"]+)"', header).group(1)

    def layout(self):
        cmake_layout(self)

    def requirements(self):
        self.requires("libcurl/[>=7.88 <9]")
        self.requires("nlohmann_json/[>=3.11 <4]", transitive_headers=True)
        self.requires("fmt/[>=9 <13]", transitive_headers=True, transitive_libs=True)
        self.requires("simdjson/[>=3 <5]")
        self.requires("zlib/[>=1.2.11 <2]")
        if self.options.with_json_schema_validator:
            self.requires("json-schema-validator/[>=2.1 <3]")
        if self.options.with_openssl:
            self.requires("openssl/[>=3 <4]")

    def build_requirements(self):
        self.tool_requires("cmake/[>=3.25 <5]")

    def validate(self):
        check_min_cppstd(self, 20)

    def generate(self):
        toolchain = CMakeToolchain(self)
        toolchain.user_presets_path = False
        toolchain.cache_variables["BACKSTOP_BUILD_TESTS"] = False
        toolchain.cache_variables["BACKSTOP_BUILD_EXAMPLES"] = False
        toolchain.cache_variables["BACKSTOP_BUILD_TOOLS"] = False
        toolchain.cache_variables["BACKSTOP_BUILD_BENCHMARKS"] = False
        toolchain.cache_variables["BACKSTOP_WITH_JSON_SCHEMA_VALIDATOR"] = bool(self.options.with_json_schema_validator)
        toolchain.cache_variables["BACKSTOP_WITH_OPENSSL"] = bool(self.options.with_openssl)
        toolchain.generate()
        CMakeDeps(self).generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))
        CMake(self).install()
        for folder in ("cmake", "pkgconfig"):
            rmdir(self, os.path.join(self.package_folder, "lib", folder))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "backstop")
        self.cpp_info.set_property("cmake_target_name", "backstop::backstop")
        self.cpp_info.libs = ["backstop"]
        self.cpp_info.requires = ["libcurl::libcurl", "nlohmann_json::nlohmann_json", "fmt::fmt", "simdjson::simdjson",
                                  "zlib::zlib"]
        if self.options.with_json_schema_validator:
            self.cpp_info.requires.append("json-schema-validator::json-schema-validator")
        if self.options.with_openssl:
            self.cpp_info.requires.append("openssl::crypto")
        if not self.options.shared:
            self.cpp_info.defines.append("BACKSTOP_STATIC_DEFINE")
        if self.settings.os in ("Linux", "FreeBSD"):
            self.cpp_info.system_libs = ["pthread"]
