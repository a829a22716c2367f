// What errors are called: Linux's words (strerror(3)).
#include <errno.h>
#include <stdio.h>
#include <string.h>

char *strerror(int number) {
  static const char *const words[] = {
      [0] = "Success",
      [EPERM] = "Operation not permitted",
      [ENOENT] = "No such file or directory",
      [ESRCH] = "No such process",
      [EINTR] = "Interrupted system call",
      [EIO] = "Input/output error",
      [ENXIO] = "No such device or address",
      [E2BIG] = "Argument list too long",
      [ENOEXEC] = "Exec format error",
      [EBADF] = "Bad file descriptor",
      [ECHILD] = "No child processes",
      [EAGAIN] = "Resource temporarily unavailable",
      [ENOMEM] = "Cannot allocate memory",
      [EACCES] = "Permission denied",
      [EFAULT] = "Bad address",
      [EBUSY] = "Device or resource busy",
      [EEXIST] = "File exists",
      [EXDEV] = "Invalid cross-device link",
      [ENODEV] = "No such device",
      [ENOTDIR] = "Not a directory",
      [EISDIR] = "Is a directory",
      [EINVAL] = "Invalid argument",
      [ENFILE] = "Too many open files in system",
      [EMFILE] = "Too many open files",
      [ENOTTY] = "Inappropriate ioctl for device",
      [EFBIG] = "File too large",
      [ENOSPC] = "No space left on device",
      [ESPIPE] = "Illegal seek",
      [EROFS] = "Read-only file system",
      [EMLINK] = "Too many links",
      [EPIPE] = "Broken pipe",
      [EDOM] = "Numerical argument out of domain",
      [ERANGE] = "Numerical result out of range",
      [ENAMETOOLONG] = "File name too long",
      [ENOSYS] = "Function not implemented",
      [ENOTEMPTY] = "Directory not empty",
      [EIDRM] = "Identifier removed",
      [EOVERFLOW] = "Value too large for defined data type",
  };
  static char unknown[32];

  if (number >= 0 && (size_t)number < sizeof(words) / sizeof(words[0]) && words[number])
    return (char *)words[number];
  snprintf(unknown, sizeof(unknown), "Unknown error %d", number);
  return unknown;
}

void perror(const char *what) {
  const char *why = strerror(errno);

  if (what && *what)
    fprintf(stderr, "%s: %s\n", what, why);
  else
    fprintf(stderr, "%s\n", why);
}
