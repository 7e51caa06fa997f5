/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

/* What filters are written with; `flowcarve help filter` explains them. */
static const char filter_words[] =
    "host net port portrange src dst client server tcp udp icmp icmp6 sctp arp ip ip6 proto ether vlan mpls tunnel "
    "packets bytes duration payload ttl over under at between state reset flags after before on during id community-id "
    "file sensor and or not";

/* The words behind some of them. */
static const struct fc_values filter_values[] = {
    {"state", "new established closed reset rejected midstream"},
    {"reset", "by"},
    {"by", "client server"},
    {"flags", "fin syn rst psh ack urg ece cwr"},
    {"at", "least most"},
    {"ether", "host"},
    {0},
};

struct commands {
    const struct fc_command *const *all;
    int count;
};

enum kind { NOTHING, WORDS, LIST, FILES, FOLDERS };

static bool is_any(const char *text, const char *const *parts)
{
    for (; *parts; parts++)
        if (strstr(text, *parts))
            return true;
    return false;
}

/* Of what an option's argument, or a command's word, is the name. */
static bool names_file(const char *arg)
{
    static const char *const parts[] = {"FILE", "DB", "CAPTURE", "FOLDER", "LOG", "OLD", "NEW", NULL};

    return is_any(arg, parts);
}

static const char *find_words(const struct fc_values *values, const char *name)
{
    for (; values && values->option; values++)
        if (strcmp(values->option, name) == 0)
            return values->words;
    return NULL;
}

static enum kind kind_of(const struct fc_command *c, const struct fc_option *o)
{
    if (find_words(c->values, o->name))
        return strstr(o->arg, "LIST") || strstr(o->arg, ",...") ? LIST : WORDS;
    return strcmp(o->arg, "DIR") == 0 ? FOLDERS : names_file(o->arg) ? FILES : NOTHING;
}

static bool takes_filter(const struct fc_command *c)
{
    return strstr(c->usage, "FILTER") != NULL;
}

/* What stands in the usage in small letters: the words of `files`. */
static void print_own_words(const struct fc_command *c)
{
    char before = ' ';

    for (const char *p = c->usage; *p;) {
        size_t len = strspn(p, "abcdefghijklmnopqrstuvwxyz");
        if (len && before != '-')
            printf("%.*s ", (int)len, p);
        p += len ? len : 1;
        before = p[-1];
    }
}

/* Whether they are names of captures. */
static bool takes_files(const struct fc_command *c)
{
    return names_file(c->usage) && !takes_filter(c);
}

static void print_names(const struct commands *commands)
{
    for (int i = 0; i < commands->count; i++)
        printf("%s ", commands->all[i]->name);
}

/* Text between single quotes of a shell, in which `special` has a backslash in front. */
static void print_quoted(const char *text, const char *special, const char *quote)
{
    for (; *text; text++) {
        if (*text == '\'')
            fputs(quote, stdout);
        else if (strchr(special, *text))
            printf("\\%c", *text);
        else
            putchar(*text);
    }
}

/* ---- bash */

/* "'query --format' | 'query -f'" */
static void bash_pattern(const struct fc_command *c, const struct fc_option *o)
{
    printf("    '%s --%s'", c->name, o->name);
    if (o->short_name)
        printf(" | '%s -%c'", c->name, o->short_name);
    fputs(") ", stdout);
}

static void bash_values(const struct fc_command *c)
{
    static const char *const calls[] = {[NOTHING] = "return ;;\n",
                                        [FILES] = "_flowcarve_names -f; return ;;\n",
                                        [FOLDERS] = "_flowcarve_names -d; return ;;\n"};

    for (const struct fc_option *o = c->options; o->name; o++) {
        if (!o->arg)
            continue;
        enum kind kind = kind_of(c, o);
        bash_pattern(c, o);
        if (kind == WORDS || kind == LIST)
            printf("_flowcarve_%s '%s'; return ;;\n", kind == LIST ? "list" : "words", find_words(c->values, o->name));
        else
            fputs(calls[kind], stdout);
    }
}

static void bash_command(const struct fc_command *c)
{
    printf("    %s)\n        options='--help", c->name);
    for (const struct fc_option *o = c->options; o->name; o++)
        printf(" --%s", o->name);
    fputs("'\n        words='", stdout);
    print_own_words(c);
    printf("'\n        filter=%s names=%s ;;\n", takes_filter(c) ? "yes" : "", takes_files(c) ? "yes" : "");
}

static void print_bash(const struct commands *commands)
{
    fputs("# bash completion of flowcarve, made by 'flowcarve completion bash'\n"
          "_flowcarve_words() { # words that begin with what is there\n"
          "    mapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n"
          "    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace\n"
          "}\n"
          "_flowcarve_list() { # the same behind the last comma\n"
          "    local before=\n"
          "    [[ $cur != *,* ]] || before=${cur%,*},\n"
          "    compopt -o nospace\n"
          "    mapfile -t COMPREPLY < <(compgen -P \"$before\" -W \"$1\" -- \"${cur##*,}\")\n"
          "}\n"
          "_flowcarve_names() { # files, or folders alone\n"
          "    compopt -o filenames\n"
          "    mapfile -t COMPREPLY < <(compgen \"$1\" -- \"$cur\")\n"
          "}\n"
          "_flowcarve() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command=${COMP_WORDS[1]}\n"
          "    local options= words= filter= names=\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n        _flowcarve_words '",
          stdout);
    print_names(commands);
    fputs("completion help --help --version'\n        return\n    fi\n"
          "    # --format=json comes as three words\n"
          "    if [[ $cur == = ]]; then\n        cur=\n"
          "    elif [[ $prev == = ]] && ((COMP_CWORD > 3)); then\n        prev=${COMP_WORDS[COMP_CWORD-2]}\n    fi\n"
          "    case \"$command $prev\" in\n",
          stdout);
    for (int i = 0; i < commands->count; i++)
        bash_values(commands->all[i]);
    fputs("    esac\n    case $command in\n    help) words='", stdout);
    print_names(commands);
    fputs("filter completion' ;;\n    completion) words='bash zsh fish' ;;\n", stdout);
    for (int i = 0; i < commands->count; i++)
        bash_command(commands->all[i]);
    fputs("    esac\n"
          "    if [[ $cur == -* ]]; then\n        _flowcarve_words \"$options\"\n        return\n    fi\n"
          "    if [[ $filter ]]; then\n        case $prev in\n        file) _flowcarve_names -f; return ;;\n",
          stdout);
    for (const struct fc_values *v = filter_values; v->option; v++)
        printf("        %s) _flowcarve_words '%s'; return ;;\n", v->option, v->words);
    printf("        esac\n        words+='%s'\n    fi\n", filter_words);
    fputs("    _flowcarve_words \"$words\"\n"
          "    [[ -z $names || ${COMPREPLY[0]} ]] || _flowcarve_names -f\n"
          "}\ncomplete -F _flowcarve flowcarve\n",
          stdout);
}

/* ---- zsh */

static void zsh_option(const struct fc_command *c, const struct fc_option *o)
{
    const char *words = find_words(c->values, o->name), *eq = o->arg ? "=" : "";

    fputs("        ", stdout);
    if (o->arg && kind_of(c, o) == LIST)
        o->short_name ? printf("'*'{-%c+,--%s%s}'", o->short_name, o->name, eq) : printf("'*--%s%s", o->name, eq);
    else if (o->short_name)
        printf("'(-%c --%s)'{-%c%s,--%s%s}'", o->short_name, o->name, o->short_name, o->arg ? "+" : "", o->name, eq);
    else
        printf("'--%s%s", o->name, eq);
    putchar('[');
    print_quoted(o->help, "[]:\\", "'\\''");
    putchar(']');
    if (o->arg) {
        putchar(':');
        print_quoted(o->arg, "[]:\\", "'\\''");
        putchar(':');
        enum kind kind = kind_of(c, o);
        if (kind == WORDS)
            printf("(%s)", words);
        else if (kind == LIST)
            printf("_values -s , %s %s", o->name, words);
        else if (kind != NOTHING)
            fputs(kind == FOLDERS ? "_files -/" : "_files", stdout);
    }
    fputs("' \\\n", stdout);
}

static void zsh_command(const struct fc_command *c)
{
    printf("    %s)\n        _arguments -s -S \\\n", c->name);
    for (const struct fc_option *o = c->options; o->name; o++)
        zsh_option(c, o);
    printf("        '(-h --help)'{-h,--help}'[this text]' \\\n        '*: :%s' ;;\n",
           takes_filter(c)  ? "_flowcarve_filter"
           : takes_files(c) ? "_flowcarve_files_or"
                            : "");
}

static void print_zsh(const struct commands *commands)
{
    fputs("#compdef flowcarve\n# zsh completion of flowcarve, made by 'flowcarve completion zsh'\n"
          "_flowcarve_filter() {\n    case $words[CURRENT-1] in\n    file) _files ;;\n",
          stdout);
    for (const struct fc_values *v = filter_values; v->option; v++)
        printf("    %s) compadd %s ;;\n", v->option, v->words);
    printf("    *) compadd %s ;;\n    esac\n}\n", filter_words);
    fputs("_flowcarve_files_or() {\n    case $command in\n", stdout);
    for (int i = 0; i < commands->count; i++) {
        printf("    %s) compadd - ", commands->all[i]->name);
        print_own_words(commands->all[i]);
        fputs(";;\n", stdout);
    }
    fputs("    esac\n    _files\n}\n_flowcarve() {\n    local -a commands\n    commands=(\n", stdout);
    for (int i = 0; i < commands->count; i++) {
        printf("        '%s:", commands->all[i]->name);
        print_quoted(commands->all[i]->summary, "", "'\\''");
        fputs("'\n", stdout);
    }
    fputs("        'completion:complete words in a shell'\n        'help:tell of a command'\n    )\n"
          "    if ((CURRENT == 2)); then\n        _describe command commands\n        compadd -- --help --version\n"
          "        return\n    fi\n"
          "    local command=$words[2]\n    shift words\n    ((CURRENT--))\n    case $command in\n"
          "    help) ((CURRENT == 2)) && _describe command commands && compadd filter ;;\n"
          "    completion) compadd bash zsh fish ;;\n",
          stdout);
    for (int i = 0; i < commands->count; i++)
        zsh_command(commands->all[i]);
    fputs("    esac\n}\nif [ \"$funcstack[1]\" = _flowcarve ]; then\n    _flowcarve \"$@\"\n"
          "else\n    compdef _flowcarve flowcarve\nfi\n",
          stdout);
}

/* ---- fish */

static void fish_option(const struct fc_command *c, const struct fc_option *o)
{
    static const char *const kinds[] = {[NOTHING] = "-x",
                                        [WORDS] = "-x",
                                        [LIST] = "-x",
                                        [FILES] = "-r -F",
                                        [FOLDERS] = "-x -a '(__fish_complete_directories)'"};

    printf("complete -c flowcarve -n '__flowcarve_is %s' -l %s", c->name, o->name);
    if (o->short_name)
        printf(" -s %c", o->short_name);
    if (o->arg) {
        enum kind kind = kind_of(c, o);
        printf(" %s", kinds[kind]);
        if (kind == WORDS)
            printf(" -a '%s'", find_words(c->values, o->name));
        else if (kind == LIST)
            printf(" -a '(__flowcarve_list %s)'", find_words(c->values, o->name));
    }
    fputs(" -d '", stdout);
    print_quoted(o->help, "\\", "\\'");
    fputs("'\n", stdout);
}

static void fish_command(const struct fc_command *c)
{
    printf("complete -c flowcarve -n '__flowcarve_is' -a %s -d '", c->name);
    print_quoted(c->summary, "\\", "\\'");
    fputs("'\n", stdout);
    printf("complete -c flowcarve -n '__flowcarve_is help' -a %s\n", c->name);
    for (const struct fc_option *o = c->options; o->name; o++)
        fish_option(c, o);
    printf("complete -c flowcarve -n '__flowcarve_is %s' -l help -s h -d 'this text'\n", c->name);
    printf("complete -c flowcarve -n '__flowcarve_is %s' -a '", c->name);
    print_own_words(c);
    printf("%s'\n", takes_filter(c) ? "(__flowcarve_filter)" : "");
    if (takes_files(c))
        printf("complete -c flowcarve -n '__flowcarve_is %s' -F\n", c->name);
}

static void print_fish(const struct commands *commands)
{
    fputs("# fish completion of flowcarve, made by 'flowcarve completion fish'\n"
          "function __flowcarve_is # the command that is named, or none yet\n"
          "    set -l words (commandline -opc)\n"
          "    if test (count $argv) = 0\n        test (count $words) = 1\n"
          "    else\n        test (count $words) -gt 1; and test $words[2] = $argv[1]\n    end\nend\n"
          "function __flowcarve_list # words behind the last comma\n"
          "    set -l before (commandline -ct | string replace -r '^--[a-z-]+=' '' | string match -r '^.*,')\n"
          "    or set before ''\n"
          "    printf '%s\\n' $before$argv\nend\n"
          "function __flowcarve_filter\n    switch (commandline -opc)[-1]\n        case file\n"
          "            __fish_complete_path (commandline -ct)\n",
          stdout);
    for (const struct fc_values *v = filter_values; v->option; v++)
        printf("        case %s\n            string split ' ' '%s'\n", v->option, v->words);
    printf("        case '*'\n            string split ' ' '%s'\n    end\nend\n", filter_words);
    fputs("complete -c flowcarve -f\n"
          "complete -c flowcarve -n '__flowcarve_is' -a completion -d 'complete words in a shell'\n"
          "complete -c flowcarve -n '__flowcarve_is' -a help -d 'tell of a command'\n"
          "complete -c flowcarve -n '__flowcarve_is' -l help\n"
          "complete -c flowcarve -n '__flowcarve_is' -l version\n"
          "complete -c flowcarve -n '__flowcarve_is help' -a 'filter completion'\n"
          "complete -c flowcarve -n '__flowcarve_is completion' -a 'bash zsh fish'\n",
          stdout);
    for (int i = 0; i < commands->count; i++)
        fish_command(commands->all[i]);
}

static int print_help(void)
{
    fputs("Usage: flowcarve completion bash|zsh|fish\n"
          "print what a shell needs to complete words of flowcarve\n\n"
          "  bash: source <(flowcarve completion bash)\n"
          "  zsh:  source <(flowcarve completion zsh), behind compinit\n"
          "  fish: flowcarve completion fish | source\n"
          "in what the shell reads when it starts. 'cmake --install' and packages put files\n"
          "where the shells look by themselves.\n",
          stdout);
    return fc_output_done();
}

int fc_completion(const struct fc_command *const *commands, int count, int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(const struct commands *);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    struct commands all = {commands, count};

    if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return print_help();
    for (size_t i = 0; argc == 2 && i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(argv[1], shells[i].name) == 0) {
            shells[i].print(&all);
            return fc_output_done();
        }
    fc_complain("completion: takes bash, zsh or fish (see 'flowcarve help completion')");
    return FC_EXIT_ERROR;
}
