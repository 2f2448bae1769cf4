/* What a container really got: printed as `name: value` lines by the container itself.
 *
 * `probe` prints and ends; `probe stay` then waits until it is told to end, and `probe wait` only waits, which is all
 * that a sandbox has to do. Static, alone in its image.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* A call that fails is told by the name of its error, one that succeeds as ok. */
static void tell(const char *what, long result) {
  printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "ok");
}

static void tell_status(void) {
  static const char *const told[] = {"Uid:", "Gid:", "Groups:", "CapEff:", "CapBnd:", "NoNewPrivs:", "Seccomp:"};
  char line[4096];
  FILE *status = fopen("/proc/self/status", "r");
  while (status && fgets(line, sizeof line, status))
    for (size_t i = 0; i < sizeof told / sizeof *told; i++)
      if (!strncmp(line, told[i], strlen(told[i]))) fputs(line, stdout);
  if (status) fclose(status);
}

/* In a user namespace of its own a container is root in there and nobody outside. */
static void tell_user_map(void) {
  unsigned inside = 0, outside = 0, count = 0;
  FILE *map = fopen("/proc/self/uid_map", "r");
  if (map && fscanf(map, "%u %u %u", &inside, &outside, &count) == 3)
    printf("uid_map: %u %u %u\n", inside, outside, count);
  if (map) fclose(map);
}

static void end(int signal) {
  (void)signal;
  _exit(0);
}

int main(int count, char **arguments) {
  const char *mode = count > 1 ? arguments[1] : "";
  if (strcmp(mode, "wait")) {
    tell_status();
    tell_user_map();
    tell("root file system", open("/written", O_CREAT | O_WRONLY, 0600));
    /* Anybody may call these two, except where the runtime's seccomp profile is in force. The error is of no use
       without it: neither a state in /proc nor a filter that lets everything through would be told from a real one. */
    tell("keyctl", syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* the session's */, 0));
    tell("unshare", unshare(CLONE_NEWUSER));
    puts("told: all");
    fflush(stdout);
  }
  if (*mode) {
    struct sigaction action = {.sa_handler = end};
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    for (;;) pause();
  }
  return 0;
}
