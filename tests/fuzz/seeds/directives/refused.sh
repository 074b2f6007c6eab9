#!/bin/sh
#SBATCH --mem 500K --time=10:00 --mail-type=END # why
#SBATCH --array=0-15:4%2 'quo''ted'\ word
sleep 1
