"""Convolutions of foodjax's own for CPUs with AVX-512, in C++."""
