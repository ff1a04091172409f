"""Packages the checkout that this recipe lies in: conan create cmake/packaging/conan [-o "maestro/*:tokenizers=True"].

The headers for CUDA are in the package; their users link the toolkit's CUDA::cudart and CUDA::cublasLt themselves.
"""

import os

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy


class Maestro(ConanFile):
    name = "maestro"
    version = "0.1.0"
    description = "Multi-reward GRPO with learned reward weights (MAESTRO), header-only C++20"
    license = "MIT"
    topics = ("grpo", "reinforcement-learning", "multi-objective", "header-only")
    package_type = "header-library"
    settings = "os", "compiler", "build_type", "arch"
    options = {"blas": [True, False], "tokenizers": [True, False], "http": [True, False]}
    default_options = {"blas": False, "tokenizers": False, "http": False, "cpp-httplib/*:with_openssl": True}
    no_copy_source = True

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "..", "..", "..")
        for pattern in ("include/*.hpp", "include/*.cuh", "LICENSE"):
            copy(self, pattern, root, self.export_sources_folder)

    def requirements(self):
        self.requires("eigen/3.4.0")
        self.requires("nlohmann_json/3.11.3")
        if self.options.blas:
            self.requires("openblas/0.3.27")
        if self.options.tokenizers:
            self.requires("oniguruma/6.9.8")
            self.requires("utf8proc/2.9.0")
        if self.options.http:
            self.requires("cpp-httplib/0.15.3")

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os != "Linux":
            raise ConanInvalidConfiguration("maestro is built and tested on Linux alone")

    def package_id(self):
        self.info.clear()

    def package(self):
        for pattern in ("*.hpp", "*.cuh"):
            copy(self, pattern, os.path.join(self.source_folder, "include"), os.path.join(self.package_folder, "include"))
        copy(self, "LICENSE", self.source_folder, os.path.join(self.package_folder, "licenses"))

    def package_info(self):
        self.cpp_info.set_property("cmake_file_name", "maestro")
        self.component("maestro", ["eigen::eigen", "nlohmann_json::nlohmann_json"]).system_libs = ["pthread"]
        if self.options.blas:
            self.component("blas", ["maestro", "openblas::openblas"])
        if self.options.tokenizers:
            self.component("tokenizers", ["maestro", "oniguruma::oniguruma", "utf8proc::utf8proc"])

        if self.options.http:
            self.component("http", ["maestro", "cpp-httplib::cpp-httplib"])

    def component(self, name, requires):
        """The CMake target maestro::<name>."""
        part = self.cpp_info.components[name]
        part.set_property("cmake_target_name", f"maestro::{name}")
        part.bindirs = []
        part.libdirs = []
        part.requires = requires
        return part
