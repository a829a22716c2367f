// How much memory is free, seen from a program; and taking all of it.
#pragma once

// The number of pages a new process can add to itself, or -1.
int free_pages(void);

// Ticks until what init is to do, which is in nobody's hands, is taken for
// never: a busy machine does not reach it.
#define PATIENCE 1000

// 1 once at least as many pages are free as before. Orphans are buried by
// init, at its leisure, so a smaller number is looked at again.
int free_pages_return(int before);

// Grows the heap by all the memory there is. The pages taken.
int take_all_memory(void);
