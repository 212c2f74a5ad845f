/*
 * Replays a corpus through a fuzz target where libFuzzer is not linked in (gcc builds, make check):
 * each argument is a file or a folder of files; every file is fed once.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "base/error.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { REPLAY_MAX_BYTES = 1 << 24 };

static int replay_file(const char *path)
{
    CLEANUP(cleanup_fclose) FILE *file = fopen(path, "rb");

    if (file == NULL) {
        perror(path);
        return 0;
    }
    CLEANUP(cleanup_free) uint8_t *bytes = xmalloc(REPLAY_MAX_BYTES);
    size_t len = fread(bytes, 1, REPLAY_MAX_BYTES, file);
    /* An exact-size copy, so that the sanitizer sees reads past the end. */
    CLEANUP(cleanup_free) uint8_t *exact = xmalloc(len);
    for (size_t i = 0; i < len; i++)
        exact[i] = bytes[i];
    (void)LLVMFuzzerTestOneInput(exact, len);
    return 1;
}

static int replay(const char *path)
{
    struct stat st;
    int count = 0;

    if (stat(path, &st) < 0)
        return 0;
    if (!S_ISDIR(st.st_mode))
        return replay_file(path);
    DIR *dir = opendir(path);
    for (struct dirent *e = dir ? readdir(dir) : NULL; e != NULL; e = readdir(dir)) {
        CLEANUP(cleanup_free) char *child = xasprintf("%s/%s", path, e->d_name);
        if (e->d_name[0] != '.')
            count += replay(child);
    }
    if (dir != NULL)
        closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    int count = 0;

    for (int i = 1; i < argc; i++)
        count += replay(argv[i]);
    printf("%d inputs replayed\n", count);
    return count > 0 ? 0 : 1;
}
