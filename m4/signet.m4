# SPDX-License-Identifier: Apache-2.0
# Compiler flags that every object of ours is built with.

AC_DEFUN([SIGNET_TRY_CFLAG], [
	signet_saved_cflags="$CFLAGS"
	CFLAGS="$CFLAGS -Werror $1"
	AC_MSG_CHECKING([whether $CC takes $1])
	AC_LINK_IFELSE([AC_LANG_PROGRAM([], [])],
		[AC_MSG_RESULT([yes]); $2="$$2 $1"], [AC_MSG_RESULT([no])])
	CFLAGS="$signet_saved_cflags"
])

AC_DEFUN([SIGNET_WARNINGS], [
	WARN_CFLAGS="-Wall -Wextra -Wvla -Walloca -Wstrict-prototypes -Wmissing-prototypes -Wshadow=local -Wformat=2"
	AC_ARG_ENABLE([werror], [AS_HELP_STRING([--enable-werror], [warnings are errors])],
		[AS_IF([test "$enableval" = yes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])])
	AS_CASE([$($CC --version 2>/dev/null)], [*clang*],
		dnl Each loop that it does not vectorise, of those it is allowed to, is a warning to it.
		[WARN_CFLAGS="$(echo "$WARN_CFLAGS" | sed 's/-Wshadow=local//') -Wno-pass-failed"])
	AC_SUBST([WARN_CFLAGS])
])

# The list of reference: bad input must not become code execution.
AC_DEFUN([SIGNET_HARDENING], [
	HARDEN_CFLAGS="-fPIE"
	HARDEN_LDFLAGS="-pie -Wl,-z,relro,-z,now"
	AC_ARG_ENABLE([hardening], [AS_HELP_STRING([--disable-hardening], [build without hardening flags])],
		[], [enable_hardening=yes])
	AS_IF([test "$enable_hardening" = yes], [
		SIGNET_TRY_CFLAG([-fstack-protector-strong], [HARDEN_CFLAGS])
		SIGNET_TRY_CFLAG([-fstack-clash-protection], [HARDEN_CFLAGS])
		SIGNET_TRY_CFLAG([-fcf-protection], [HARDEN_CFLAGS])
		SIGNET_TRY_CFLAG([-ftrivial-auto-var-init=zero], [HARDEN_CFLAGS])
		AS_IF([test -z "$with_sanitizer" -o "$with_sanitizer" = no],
			[HARDEN_CFLAGS="$HARDEN_CFLAGS -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2"])
	])
	AC_SUBST([HARDEN_CFLAGS])
	AC_SUBST([HARDEN_LDFLAGS])
])

# Kernels: integers wrap, loops are vectorised, and no thought is given to errno and the floating point
# exception flags, which nobody reads. Values stay IEEE's: NaN, infinities, -0.
AC_DEFUN([SIGNET_VECTOR], [
	VECTOR_CFLAGS="-fwrapv -fno-math-errno -fno-trapping-math -ftree-vectorize"
	SIGNET_TRY_CFLAG([-fvect-cost-model=dynamic], [VECTOR_CFLAGS])
	AC_SUBST([VECTOR_CFLAGS])
	AC_CHECK_DECL([__x86_64__], [signet_x86_64=yes], [signet_x86_64=no], [])
	AM_CONDITIONAL([X86_64], [test "$signet_x86_64" = yes])
])

AC_DEFUN([SIGNET_SANITIZER], [
	AC_ARG_WITH([sanitizer],
		[AS_HELP_STRING([--with-sanitizer=address|undefined|thread], [build with a sanitizer])],
		[], [with_sanitizer=no])
	AS_CASE([$with_sanitizer],
		[no|""], [SANITIZER_FLAGS=""],
		[address], [SANITIZER_FLAGS="-fsanitize=address -fno-omit-frame-pointer"],
		[undefined], [SANITIZER_FLAGS="-fsanitize=undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"],
		[thread], [SANITIZER_FLAGS="-fsanitize=thread -fno-omit-frame-pointer"],
		[AC_MSG_ERROR([--with-sanitizer takes address, undefined or thread, not '$with_sanitizer'])])
	AC_SUBST([SANITIZER_FLAGS])
])

# Without libFuzzer the fuzz targets are linked to a main that replays their corpora.
AC_DEFUN([SIGNET_FUZZER], [
	AC_ARG_WITH([fuzzer], [AS_HELP_STRING([--with-fuzzer], [build fuzz targets with clang's libFuzzer])],
		[], [with_fuzzer=no])
	AS_IF([test "$with_fuzzer" = yes], [
		FUZZ_CFLAGS="-fsanitize=fuzzer-no-link,address"
		FUZZ_LDFLAGS="-fsanitize=fuzzer,address"
	])
	AC_SUBST([FUZZ_CFLAGS])
	AC_SUBST([FUZZ_LDFLAGS])
	AM_CONDITIONAL([WITH_FUZZER], [test "$with_fuzzer" = yes])
])

# A library of ImageDecoder's: SIGNET_IMAGE(option, NAME, pkg-config, Debian package).
AC_DEFUN([SIGNET_IMAGE], [
	AC_ARG_WITH([$1], [AS_HELP_STRING([--without-$1], [ImageDecoder without $1])], [], [with_$1=yes])
	AS_IF([test "$with_$1" != no], [
		PKG_CHECK_MODULES([$2], [$3], [
			AC_DEFINE([HAVE_$2], [1], [ImageDecoder has $1])
			IMAGE_CFLAGS="$IMAGE_CFLAGS $[]$2[]_CFLAGS"
			IMAGE_LIBS="$IMAGE_LIBS $[]$2[]_LIBS"
		], [AC_MSG_ERROR([$3 is missing: apt-get install $4, or --without-$1])])
	])
])
