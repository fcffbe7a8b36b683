"""Kernels: the decorator and its cache, object code without numba, SIMD vectors, bytes, memory."""

from mlkit.jit.decorator import (
    REASSOCIATE,
    Argument,
    all_kernels,
    cache_directory,
    inline,
    jit_disabled,
    kernel,
    kernel_modules,
    operations,
    parse_arguments,
    parse_signature,
    prefetch,
    use_command_cache,
)

__all__ = [
    "REASSOCIATE", "Argument", "all_kernels", "cache_directory", "inline", "jit_disabled", "kernel", "kernel_modules",
    "operations", "parse_arguments", "parse_signature", "prefetch", "use_command_cache",
]  # fmt: skip
