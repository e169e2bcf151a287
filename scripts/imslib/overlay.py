# SPDX-License-Identifier: GPL-2.0
"""A driver of this project laid over a kernel when that is built. It is part of
neither the base nor the series.

Words
  files      {place in the tree: path}, see of()
  additions  {place in the tree: text}, what is written at the end of a file that the
             tree has
"""
from .util import digest, git, git_env, locked, scratch

MAKEFILE, KCONFIG = 'drivers/misc/Makefile', 'drivers/misc/Kconfig'


def of(directory, paths):
    """Files that lie in one directory."""
    return {f'{directory}/{path.name}': path for path in paths}


def tree(base, commit, objects, files, additions, blobs=()):
    """The git tree `commit` with files and additions, and with blobs, which are (place, what
    git calls its content)."""
    with locked('overlay'), scratch('overlay') as tmp:
        at = {'repo': base.repo,
              'env': git_env(GIT_INDEX_FILE=str(tmp / 'index'),
                             GIT_ALTERNATE_OBJECT_DIRECTORIES=str(objects))}
        git('read-tree', commit, **at)
        files = dict(files)
        for place, text in additions.items():
            files[place] = tmp / place.replace('/', '-')
            files[place].write_text(git('cat-file', 'blob', f'{commit}:{place}', **at) + text,
                                    encoding='utf-8')
        ids = {place: git('hash-object', '-w', path, **at).strip()
               for place, path in files.items()}
        for place, name in blobs:
            ids[place] = git('rev-parse', name, **at).strip()
        for place, blob in ids.items():
            git('update-index', '--add', '--cacheinfo', f'100644,{blob},{place}', **at)
        return git('write-tree', **at).strip()


def unpacked(top, files, additions):
    """Put files and additions into a tree that is no git tree."""
    for place, path in files.items():
        (top / place).parent.mkdir(parents=True, exist_ok=True)
        (top / place).write_bytes(path.read_bytes())
    for place, text in additions.items():
        with open(top / place, 'a', encoding='utf-8') as file:
            file.write(text)


def key(files, additions):
    """What unpacked() changes, as part of a key."""
    return digest(*(part for each in (files, additions)
                    for item in sorted(each.items()) for part in item))
