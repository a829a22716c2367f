// sh [SCRIPT]: the shell.
//   list      job ((; | & | &;) job)*       & runs the job before it on its own
//   job       stage (| stage)*
//   stage     (WORD | redirect)+  or  ( list ) redirect*
//   redirect  < FILE | > FILE | >> FILE
// A line is cut into tokens, parsed into nodes that live until the next line,
// and run. The shell itself is the parent of every stage of a job.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/param.h"
#include "kernel/stat.h"
#include "user/user.h"

#define MAXLINE 512
#define MAXSTAGE 16           // of one job
#define MAXDEPTH 8            // of ( ): the user stack is a page

struct redirect {
  struct redirect *next;
  char *file;
  char kind;                  // '<', '>' or 'A' for >>
};

struct stage {
  struct stage *next;         // reads what this one writes
  char **argv;                // words, 0 at the end; none for a group
  struct job *group;
  struct redirect *redirects;
};

struct job {
  struct job *next;
  struct stage *stages;
  int background;
};

// The parser's input, output and first error. A token is one of <>|;&() or
// 'A' for >>, 'w' for a word, 0 at the end. Every stage, and every redirect,
// takes two characters or more, so the room for nodes and words suffices.
static struct {
  char *at;                   // after token
  char token;
  char *word;                 // of a 'w', in the line itself
  int length;
  int depth;                  // of ( )
  const char *error;
  uint64 nodes[(MAXLINE / 2 + 2) *
               (sizeof(struct job) + sizeof(struct stage)) / sizeof(uint64)];
  uint used;                  // of nodes
  char *words[MAXLINE + 2];   // of all stages, each row ended by a 0
  uint n_words;
} line;

static int background_jobs;   // children that nobody has waited for yet

static int run(struct job *list);
static struct job *parse_list(void);

static void *allocate(uint bytes) {
  void *p = &line.nodes[line.used];

  line.used += bytes / sizeof(uint64);
  return memset(p, 0, bytes);
}

static void next_token(void) {
  char *s = line.at;

  while (*s && strchr(" \t\r\n", *s))
    s++;
  line.token = *s;
  if (*s == 0 || *s == '#') {
    line.token = 0;
  } else if (s[0] == '>' && s[1] == '>') {
    line.token = 'A';
    s += 2;
  } else if (strchr("<>|;&()", *s)) {
    s++;
  } else {
    line.token = 'w';
    line.word = s;
    while (*s && !strchr(" \t\r\n<>|;&()", *s))
      s++;
    line.length = s - line.word;
  }
  line.at = s;
}

static void syntax_error(const char *what) {
  if (!line.error)
    line.error = what;
  line.token = 0;             // ends every loop of the parser
}

// The word that is the current token, and goes on to the next.
static char *take_word(void) {
  char *word = line.word, *end = word + line.length;

  next_token();
  *end = 0;                   // what stood there is line.token by now
  return word;
}

static int at_redirect(void) {
  return line.token == '<' || line.token == '>' || line.token == 'A';
}

static struct redirect *parse_redirect(void) {
  struct redirect *r = allocate(sizeof(*r));

  r->kind = line.token;
  next_token();
  if (line.token == 'w')
    r->file = take_word();
  else
    syntax_error("a file name is missing");
  return r;
}

static struct job *parse_group(void) {
  if (line.depth == MAXDEPTH) {
    syntax_error("too many (");
    return 0;
  }
  line.depth++;
  next_token();
  struct job *list = parse_list();
  line.depth--;
  if (line.token == ')')
    next_token();
  else
    syntax_error("a ) is missing");
  return list;
}

static struct stage *parse_stage(void) {
  struct stage *s = allocate(sizeof(*s));
  struct redirect **link = &s->redirects;
  int grouped = line.token == '(';

  if (grouped)
    s->group = parse_group();
  // Only a group has words of other stages inside, and it has none itself.
  s->argv = &line.words[line.n_words];
  for (;;) {
    if (at_redirect()) {
      *link = parse_redirect();
      link = &(*link)->next;
    } else if (line.token != 'w') {
      break;
    } else if (grouped) {
      syntax_error("a word after )");
    } else {
      line.words[line.n_words++] = take_word();
    }
  }
  int argc = &line.words[line.n_words] - s->argv;
  line.words[line.n_words++] = 0;
  if (argc == 0 && !grouped)
    syntax_error("a command is missing");
  if (argc >= MAXARG)
    syntax_error("too many words");
  return s;
}

static struct job *parse_job(void) {
  struct job *j = allocate(sizeof(*j));
  struct stage **link = &j->stages;
  int n = 1;

  *link = parse_stage();
  while (line.token == '|') {
    if (n++ == MAXSTAGE)
      syntax_error("the pipeline is too long");
    next_token();
    link = &(*link)->next;
    *link = parse_stage();
  }
  return j;
}

// Ends before a ) or at the end of the line.
static struct job *parse_list(void) {
  struct job *first = 0, **link = &first;

  while (line.token && line.token != ')') {
    *link = parse_job();
    int end = line.token;
    if (end != '&' && end != ';')
      break;
    (*link)->background = end == '&';
    link = &(*link)->next;
    next_token();
    if (end == '&' && line.token == ';')
      next_token();
  }
  return first;
}

// 0 and a message when text is not a list.
static struct job *parse(char *text) {
  line.at = text;
  line.used = line.n_words = line.depth = 0;
  line.error = 0;
  next_token();
  struct job *list = parse_list();
  if (line.token)
    syntax_error("a ) too many");
  if (!line.error)
    return list;
  fprintf(2, "sh: %s\n", line.error);
  return 0;
}

// In a stage's own process, which ends when a file cannot be opened.
static void apply(struct redirect *r) {
  for (; r; r = r->next) {
    int fd, to = r->kind == '<' ? 0 : 1;

    if (r->kind == '<')
      fd = open(r->file, O_RDONLY);
    else if (r->kind == '>')
      fd = open(r->file, O_CREATE | O_TRUNC | O_WRONLY);
    else
      fd = open(r->file, O_CREATE | O_RDWR);
    if (fd < 0) {
      fprintf(2, "sh: cannot open %s\n", r->file);
      exit(1);
    }
    // There is no seek: reading is the way to the end.
    static char skipped[512];
    while (r->kind == 'A' && read(fd, skipped, sizeof(skipped)) > 0)
      ;
    close(to);
    dup(fd);
    close(fd);
  }
}

// Programs are in /; a name without a slash is looked for here first.
static void execute(char **argv) {
  char path[MAXPATH];
  uint n = strlen(argv[0]);

  exec(argv[0], argv);
  if (!strchr(argv[0], '/') && n + 2 <= sizeof(path)) {
    path[0] = '/';
    strcpy(path + 1, argv[0]);
    exec(path, argv);
  }
  fprintf(2, "sh: cannot run %s\n", argv[0]);
  exit(127);
}

// Puts fd in the place of descriptor to.
static void move(int fd, int to) {
  if (fd == to)
    return;
  close(to);
  dup(fd);
  close(fd);
}

// wait, with the books kept. mine: pids of the job being waited for, n of
// them. The index of the one that ended, or -1 for another.
static int wait_for(const int *mine, int n, int *status) {
  int pid = wait(status);

  for (int i = 0; i < n; i++)
    if (pid == mine[i])
      return i;
  background_jobs--;
  return -1;
}

// fork, which may need a process slot that an ended background job still has.
static int fork_stage(void) {
  int pid = fork();
  int ignored;

  while (pid < 0 && background_jobs > 0) {
    wait_for(0, 0, &ignored);
    pid = fork();
  }
  return pid;
}

// Starts a job's stages, joined by pipes; their pids go to pids. The number
// started: fewer than there are after a message.
static int start(struct stage *s, int *pids) {
  int input = -1;             // the read end of the last pipe
  int n = 0;

  for (; s; s = s->next) {
    int fd[2] = {-1, -1};

    if (s->next && pipe(fd) < 0) {
      fprintf(2, "sh: no pipe\n");
      break;
    }
    int pid = fork_stage();
    if (pid == 0) {
      if (input >= 0)
        move(input, 0);
      if (s->next) {
        close(fd[0]);
        move(fd[1], 1);
      }
      apply(s->redirects);
      if (s->argv[0])
        execute(s->argv);
      background_jobs = 0;
      exit(run(s->group));
    }
    if (input >= 0)
      close(input);
    input = fd[0];
    if (s->next)
      close(fd[1]);
    if (pid < 0) {
      fprintf(2, "sh: no process or memory left\n");
      break;
    }
    pids[n++] = pid;
  }
  if (input >= 0)
    close(input);
  return n;
}

// 1 when the job was one the shell has to do itself; its status in *status.
static int run_builtin(struct job *j, int *status) {
  char **argv = j->stages->argv;

  if (j->stages->next || !argv[0] || strcmp(argv[0], "cd") != 0)
    return 0;
  char *to = argv[1] ? argv[1] : "/";
  *status = chdir(to) < 0;
  if (*status)
    fprintf(2, "sh: no directory %s\n", to);
  return 1;
}

// The status of the last stage of the last job that was waited for.
static int run(struct job *list) {
  int pids[MAXSTAGE];
  int status = 0;

  for (struct job *j = list; j; j = j->next) {
    if (run_builtin(j, &status))
      continue;
    int n = start(j->stages, pids);
    if (j->background) {
      background_jobs += n;
      continue;
    }
    for (int left = n; left > 0;) {
      int one;
      int i = wait_for(pids, n, &one);
      left -= i >= 0;
      if (i == n - 1)
        status = one;
    }
  }
  return status;
}

// Reads a line of descriptor input, byte by byte: what follows belongs to the
// programs that the line starts. -1 at the end; a line too long is dropped.
static int read_line(int input, char *buf) {
  int n = 0;
  char c;

  while (read(input, &c, 1) == 1) {
    if (c == '\n') {
      if (n >= MAXLINE)
        fprintf(2, "sh: the line is too long\n");
      buf[n < MAXLINE ? n : 0] = 0;
      return 0;
    }
    if (n < MAXLINE)
      buf[n++] = c;
  }
  buf[n < MAXLINE ? n : 0] = 0;
  return n > 0 ? 0 : -1;
}

static int is_console(int fd) {
  struct stat st;

  return fstat(fd, &st) == 0 && st.type == T_DEVICE;
}

int main(int argc, char **argv) {
  static char text[MAXLINE + 1];
  int input = 0, status = 0;

  if (argc > 1) {
    input = open(argv[1], O_RDONLY);
    if (input < 0) {
      fprintf(2, "sh: cannot open %s\n", argv[1]);
      return 127;
    }
  }
  int prompts = is_console(input);
  for (;;) {
    if (prompts)
      write(2, "$ ", 2);
    if (read_line(input, text) < 0)
      return status;
    struct job *list = parse(text);
    if (list)
      status = run(list);
  }
}
