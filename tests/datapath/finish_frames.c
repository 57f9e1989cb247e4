/* finish_frames - a filter that finishes frames with gso.h, for tests in other languages.
 *
 * Reads  u32 length, then that many bytes: virtio-net header and frame.
 * Writes i32 count of frames, or -EINVAL when the header was refused; then u32 length and the
 * bytes of each.  Numbers are in the byte order of the machine.
 */
#include <stdio.h>
#include <stdlib.h>

#include "datapath/gso.h"

static void write_all(const void *p, size_t len)
{
    if (fwrite(p, 1, len, stdout) != len)
        exit(2);
}

static void write_frame(const struct vsw_frame *f)
{
    write_all(&f->len, sizeof(f->len));
    write_all(f->data, f->len);
}

/* In chunks of at most seven and one buffer of the smallest size, to have chunks at all. */
static void write_segments(const struct vsw_frame *f, uint8_t *buf)
{
    struct vsw_frame out[7];
    struct vsw_gso g;
    int32_t rc = vsw_gso_begin(&g, f);
    unsigned n;

    if (rc == 0)
        rc = (int32_t)g.segments;
    g.fragment.id = 0; /* a random number, which tests could not compare */
    write_all(&rc, sizeof(rc));
    while (rc > 0 && (n = vsw_gso_next(&g, buf, VSW_GSO_BUF_SIZE, out, 7)))
        for (unsigned i = 0; i < n; i++)
            write_frame(&out[i]);
}

static void finish(struct vsw_frame *f, uint8_t *buf)
{
    struct vsw_frame out = *f;
    int32_t rc = vsw_vnet_check(f);

    if (rc == 0 && f->needs & ~VSW_CSUM) {
        write_segments(f, buf);
        return;
    }
    if (rc == 0 && f->needs)
        vsw_csum_complete(f, buf, &out);
    rc = rc ? rc : 1;
    write_all(&rc, sizeof(rc));
    if (rc > 0)
        write_frame(&out);
}

int main(void)
{
    uint8_t *buf = aligned_alloc(16, VSW_GSO_BUF_SIZE);
    uint32_t len;

    while (fread(&len, sizeof(len), 1, stdin) == 1) {
        if (len < VSW_VNET_LEN + VSW_ETH_LEN || len > VSW_VNET_LEN + VSW_FRAME_MAX)
            return 3;
        uint8_t *bytes = malloc(len); /* exact, for the address sanitizer */
        if (!buf || !bytes || fread(bytes, 1, len, stdin) != len)
            return 4;
        finish(&(struct vsw_frame){.data = bytes + VSW_VNET_LEN, .len = len - VSW_VNET_LEN}, buf);
        fflush(stdout);
        free(bytes);
    }
    free(buf);
    return 0;
}
