# shellcheck shell=bash
# What Debian's machines would do with packaging/debian-tests: the packages come from an archive.

autopkgtest_tells_a_story_too() {
    mv /root/*.deb /srv/pool
    (cd /srv/pool && apt-ftparchive packages . > Packages)
    apt-get -qq update
    install autopkgtest
    cd /root/source || exit
    mkdir -p debian/tests
    cp packaging/debian-tests/control debian/tests
    printf 'Source: mail\nMaintainer: Nobody <nobody@example.org>\n\nPackage: smarthost\nArchitecture: any\n' > debian/control
    printf 'mail (1) unstable; urgency=low\n\n  * Test.\n\n -- Nobody <nobody@example.org>  %s\n' "$(date -R)" > debian/changelog
    autopkgtest --no-built-binaries --test-name=replacement --ignore-restrictions=breaks-testbed,isolation-container . -- null
}
