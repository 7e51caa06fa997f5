/* SPDX-License-Identifier: MIT */
/* Gives a fuzz target the files named, and those of the folders named. */
#include "fuzz.h"

#include <dirent.h>
#include <string.h>
#include <sys/stat.h>

static unsigned long files;

static void one(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;

    HOLDS(f && fstat(fileno(f), &st) == 0);
    uint8_t *data = malloc((size_t)st.st_size + 1); /* its own size: reading behind it is seen */
    HOLDS(data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
    fclose(f);
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    free(data);
    files++;
}

static void all(const char *path)
{
    struct dirent **entries;
    struct stat st;

    HOLDS(stat(path, &st) == 0);
    if (!S_ISDIR(st.st_mode)) {
        one(path);
        return;
    }
    int n = scandir(path, &entries, NULL, alphasort);
    HOLDS(n >= 0);
    for (int i = 0; i < n; i++) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        if (entries[i]->d_name[0] != '.')
            all(name);
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        all(argv[i]);
    printf("%lu inputs\n", files);
    return files == 0;
}
