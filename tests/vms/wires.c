/* The wires of a Linux bridge in a virtual machine of the tests: TAPs p0, p1, ..., of which this
 * program holds the file ends, and a shell to set the bridge up.
 *
 *   wires DEVICE PORTS
 *
 * answers requests from DEVICE, each a line with the length of the bytes behind it:
 *
 *   run LENGTH           a script of shell     -> ran STATUS LENGTH, and what it printed
 *   frame PORT LENGTH    a frame for the port  -> sent PORT LENGTH, and the frame, for each frame
 *                                                 that a port sends because of it; then: done
 *   carrier PORT 0|1     pull its plug         -> done
 *
 * A write(2) to the file end of a TAP returns when the bridge has put the frame wherever it goes,
 * so that nothing has to be waited for.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PORTS_MAX = 16, BYTES_MAX = 1 << 17 };

static int tap[PORTS_MAX];
static unsigned ports;
static char bytes[BYTES_MAX];

static void open_tap(unsigned port) {
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    snprintf(request.ifr_name, sizeof request.ifr_name, "p%u", port);
    tap[port] = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (tap[port] < 0 || ioctl(tap[port], TUNSETIFF, &request))
        err(1, "%s", request.ifr_name);
}

static void take(FILE *in, unsigned length) {
    if (length > BYTES_MAX || fread(bytes, 1, length, in) != length)
        errx(1, "a request of %u bytes is cut short, or too long", length);
}

static void run(FILE *out, unsigned length) {
    FILE *script = tmpfile(), *printed = tmpfile();
    if (!script || !printed || fwrite(bytes, 1, length, script) != length || fflush(script))
        err(1, "script");
    rewind(script);
    pid_t shell = fork();
    if (!shell) {
        dup2(fileno(script), 0);
        dup2(fileno(printed), 1);
        dup2(fileno(printed), 2);
        execl("/bin/sh", "sh", (char *)NULL);
        _exit(127);
    }
    int status;
    if (shell < 0 || waitpid(shell, &status, 0) != shell)
        err(1, "sh");
    fseek(printed, 0, SEEK_END);
    long left = ftell(printed);
    rewind(printed);
    fprintf(out, "ran %d %ld\n", status, left);
    for (size_t n; (n = fread(bytes, 1, BYTES_MAX, printed)) > 0;)
        fwrite(bytes, 1, n, out);
    fclose(script);
    fclose(printed);
}

/* EINVAL: too short for a TAP; EIO: it is down. No bridge gets to see such a frame. */
static void inject(unsigned port, unsigned length) {
    if (write(tap[port], bytes, length) < 0 && errno != EINVAL && errno != EIO)
        err(1, "p%u", port);
}

static void collect(FILE *out) {
    for (unsigned port = 0; port < ports; port++)
        for (ssize_t n; (n = read(tap[port], bytes, BYTES_MAX)) > 0;) {
            fprintf(out, "sent %u %zd\n", port, n);
            fwrite(bytes, 1, (size_t)n, out);
        }
    fputs("done\n", out);
}

static void answer(FILE *in, FILE *out, const char *request) {
    unsigned port = 0, number;
    if (sscanf(request, "run %u", &number) == 1) {
        take(in, number);
        run(out, number);
    } else if (sscanf(request, "frame %u %u", &port, &number) == 2 && port < ports) {
        take(in, number);
        inject(port, number);
        collect(out);
    } else if (sscanf(request, "carrier %u %u", &port, &number) == 2 && port < ports) {
        if (ioctl(tap[port], TUNSETCARRIER, &number))
            err(1, "p%u", port);
        fputs("done\n", out);
    } else {
        errx(1, "no such request: %s", request);
    }
}

int main(int argc, char **argv) {
    if (argc != 3 || (ports = (unsigned)atoi(argv[2])) > PORTS_MAX)
        errx(2, "usage: wires DEVICE PORTS, at most %d ports", PORTS_MAX);
    for (unsigned port = 0; port < ports; port++)
        open_tap(port);
    int device = open(argv[1], O_RDWR | O_CLOEXEC); /* once: a virtio port has one user */
    FILE *in = fdopen(device, "r"), *out = fdopen(dup(device), "w");
    if (device < 0 || !in || !out)
        err(1, "%s", argv[1]);
    for (char request[64]; fgets(request, sizeof request, in);) {
        answer(in, out, request);
        if (fflush(out))
            err(1, "%s", argv[1]);
    }
    return 0;
}
