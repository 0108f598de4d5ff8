// SPDX-License-Identifier: Apache-2.0
/*
 * nvrtc.cc -- compiles generated kernels with the host's compiler: machine code is a shared object,
 * which the stand-in driver opens (driver.cc)
 *
 * What was compiled once is kept in STAND_IN_CACHE of the build, under the hash of all that it is
 * made of: a compiler takes seconds for what NVRTC does in a fraction of one.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <map>
#include <nvrtc.h>
#include <spawn.h>
#include <sstream>
#include <string>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

extern char **environ;

struct _nvrtcProgram {
	std::string text, log, code;
	std::map<std::string, std::string> headers;
};

namespace {

/* Headers of the host's own, which those that kernels get for the device do not replace. */
const char *const host_headers[] = { "stdint.h", "cuda_fp16.h", "cuda_bf16.h" };

bool is_of_host(const std::string &name)
{
	for (const char *own : host_headers)
		if (name == own)
			return true;
	return false;
}

std::string read_file(const std::string &path)
{
	std::ifstream in(path, std::ios::binary);
	std::stringstream all;
	all << in.rdbuf();
	return all.str();
}

bool write_file(const std::string &path, const std::string &text)
{
	std::ofstream out(path, std::ios::binary);
	out << text;
	return !!out.flush();
}

void make_folders(const std::string &path)
{
	for (size_t at = path.find('/', 1); at != std::string::npos; at = path.find('/', at + 1))
		mkdir(path.substr(0, at).c_str(), 0755);
}

std::vector<std::string> words(const std::string &text)
{
	std::istringstream in(text);
	std::vector<std::string> all;
	for (std::string w; in >> w;)
		all.push_back(w);
	return all;
}

/* The exit status; -1: it did not run. */
int run(const std::vector<std::string> &command, const std::string &log)
{
	std::vector<char *> argv;
	for (const std::string &w : command)
		argv.push_back(const_cast<char *>(w.c_str()));
	argv.push_back(nullptr);
	posix_spawn_file_actions_t files;
	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, STDERR_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
	pid_t child;
	int status = -1;
	if (posix_spawnp(&child, argv[0], &files, nullptr, argv.data(), environ) == 0)
		waitpid(child, &status, 0);
	posix_spawn_file_actions_destroy(&files);
	return status;
}

nvrtcResult compile(_nvrtcProgram *p, const std::string &kept)
{
	char folder[] = "/tmp/stand-in-nvrtc.XXXXXX";
	if (!mkdtemp(folder))
		return NVRTC_ERROR_PROGRAM_CREATION_FAILURE;
	std::string dir = std::string(folder) + "/", object = dir + "object.so", log = dir + "log";
	for (const auto &h : p->headers)
		if (!is_of_host(h.first)) {
			make_folders(dir + h.first);
			write_file(dir + h.first, h.second);
		}
	write_file(dir + "kernel.cc", p->text);
	std::vector<std::string> command = words(STAND_IN_CXX);
	command.insert(command.end(), { "-shared", "-o", object, "-I" + dir, "-include", STAND_IN_DEVICE_H, dir + "kernel.cc", STAND_IN_DRIVER });
	int status = run(command, log);
	p->log = read_file(log);
	p->code = read_file(object);
	/* Others may do the same: who renames last wins, with the same code. */
	if (status == 0 && write_file(object, p->code)) {
		std::string fresh = kept + "." + std::to_string(getpid());
		make_folders(kept);
		if (write_file(fresh, p->code))
			rename(fresh.c_str(), kept.c_str());
	}
	run({ "rm", "-rf", folder }, "/dev/null");
	return status == 0 ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}

/* Of everything that the object is made of. */
std::string name_of(const _nvrtcProgram *p)
{
	std::string all = p->text + STAND_IN_CXX + read_file(STAND_IN_DEVICE_H);
	for (const auto &h : p->headers)
		all += h.first + h.second;
	char name[24];
	snprintf(name, sizeof(name), "%016zx", std::hash<std::string>()(all));
	return std::string(STAND_IN_CACHE) + "/" + name + ".so";
}

} // namespace

extern "C" {

nvrtcResult nvrtcVersion(int *major, int *minor)
{
	*major = 13;
	*minor = 0;
	return NVRTC_SUCCESS;
}

const char *nvrtcGetErrorString(nvrtcResult r)
{
	return r == NVRTC_SUCCESS ? "NVRTC_SUCCESS" : r == NVRTC_ERROR_COMPILATION ? "NVRTC_ERROR_COMPILATION" : "NVRTC_ERROR";
}

nvrtcResult nvrtcCreateProgram(nvrtcProgram *ret, const char *text, const char *, int n, const char *const *headers,
	const char *const *names)
{
	_nvrtcProgram *p = new _nvrtcProgram;
	p->text = text;
	for (int i = 0; i < n; i++)
		p->headers[names[i]] = headers[i];
	*ret = p;
	return NVRTC_SUCCESS;
}

nvrtcResult nvrtcDestroyProgram(nvrtcProgram *p)
{
	delete *p;
	*p = nullptr;
	return NVRTC_SUCCESS;
}

/* Broken: as one without its builtins is. */
nvrtcResult nvrtcCompileProgram(nvrtcProgram p, int n, const char *const *options)
{
	const char *how = getenv("STAND_IN_NVRTC"), *log = getenv("STAND_IN_NVRTC_LOG");
	bool arch = false;
	for (int i = 0; i < n; i++)
		arch |= strncmp(options[i], "--gpu-architecture=sm_", 22) == 0;
	if (!arch)
		return NVRTC_ERROR_INVALID_OPTION;
	if (how && strcmp(how, "broken") == 0) {
		p->log = "the stand-in is broken because STAND_IN_NVRTC says so\nand more\n";
		return NVRTC_ERROR_BUILTIN_OPERATION_FAILURE;
	}
	if (log)
		std::ofstream(log, std::ios::app) << "compiled\n";
	std::string kept = name_of(p);
	p->code = read_file(kept);
	return p->code.empty() ? compile(p, kept) : NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBINSize(nvrtcProgram p, size_t *ret)
{
	*ret = p->code.size();
	return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetCUBIN(nvrtcProgram p, char *ret)
{
	memcpy(ret, p->code.data(), p->code.size());
	return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLogSize(nvrtcProgram p, size_t *ret)
{
	*ret = p->log.size() + 1;
	return NVRTC_SUCCESS;
}

nvrtcResult nvrtcGetProgramLog(nvrtcProgram p, char *ret)
{
	memcpy(ret, p->log.c_str(), p->log.size() + 1);
	return NVRTC_SUCCESS;
}
}
