// Before anything of the kernel's: what it calls like something of libc's gets another name.
#pragma once

#define memset kernel_memset
#define memmove kernel_memmove
#define memcpy kernel_memcpy
#define memcmp kernel_memcmp
#define strlen kernel_strlen
#define strncmp kernel_strncmp
#define strncpy kernel_strncpy
#define printf kernel_printf
#define exit kernel_exit
